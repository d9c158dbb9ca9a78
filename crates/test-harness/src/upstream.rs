//! Between gateway and mock: passes every call on, but for those that are told to go wrong, octet by
//! octet, on the wire. It counts what arrives, whether or not GoTrue ever hears of it.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
};

use tokio::{net::TcpSocket, sync::watch};

use self::wire::connection;
pub use self::wire::{Operation, Step};
use super::{OwnThread, Setup, Stage, eventually};

mod wire;

/// What goes wrong with the calls of one operation that carry one request id; the key set's carry
/// none.
struct Fault {
    times: usize,
    steps: Vec<Step>,
}

type Key = (Operation, String);

#[derive(Default)]
struct State {
    faults: Mutex<HashMap<Key, Fault>>,
    calls: Mutex<HashMap<Key, usize>>,
    connections: AtomicUsize,
    /// Connections in a step that only the gateway can end.
    held: AtomicUsize,
    /// A longer request head is answered 400, as a proxy in front of GoTrue does; 0 is no limit.
    most_head: AtomicUsize,
}

impl State {
    /// Counts the call, and what is to happen to it.
    fn arrived(&self, call: &Key) -> Option<Vec<Step>> {
        *self.calls.lock().unwrap().entry(call.clone()).or_default() += 1;
        let mut faults = self.faults.lock().unwrap();
        let fault = faults.get_mut(call).filter(|fault| fault.times > 0)?;
        fault.times -= 1;
        Some(fault.steps.clone())
    }
}

/// The wire; it ends with the test.
pub struct Upstream {
    address: SocketAddr,
    state: Arc<State>,
    /// Where the mock is, once it is known.
    mock: watch::Sender<Option<SocketAddr>>,
    running: Mutex<Option<OwnThread>>,
}

impl Upstream {
    /// Listens; nothing is passed on before there is a stage.
    pub fn start() -> Self {
        let (upstream, socket) = Self::closed();
        upstream.open(socket);
        upstream
    }

    /// Refuses connections until it is opened.
    pub fn closed() -> (Self, TcpSocket) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let (address, mock) = (socket.local_addr().unwrap(), watch::channel(None).0);
        (Self { address, state: Arc::default(), mock, running: Mutex::default() }, socket)
    }

    /// Listens.
    pub fn open(&self, socket: TcpSocket) {
        let (shared, known) = (self.state.clone(), self.mock.subscribe());
        let (listening, heard) = mpsc::channel();
        let thread = OwnThread::run(move || async move {
            let listener = socket.listen(1024).unwrap();
            listening.send(()).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                shared.connections.fetch_add(1, SeqCst);
                tokio::spawn(connection(stream, shared.clone(), known.clone()));
            }
        });
        heard.recv().unwrap();
        *self.running.lock().unwrap() = Some(thread);
    }

    /// A gateway that has this between itself and its mock; not awaited to be ready.
    pub async fn unready_stage(&self, setup: Setup) -> Stage {
        let gotrue = format!("http://{}/auth/v1", self.address);
        let stage = setup.flag("gotrue-url", &gotrue).unready().start().await;
        let mock = stage.mock.url().strip_prefix("http://").unwrap().parse().unwrap();
        self.mock.send_replace(Some(mock));
        stage
    }

    pub async fn stage(&self, setup: Setup) -> Stage {
        let stage = self.unready_stage(setup).await;
        eventually("ready", || async { stage.get("/readyz").send().await.status == 200 }).await;
        stage
    }

    /// From now on, `times` times.
    pub fn misbehave(&self, operation: Operation, id: &str, times: usize, steps: &[Step]) {
        let fault = Fault { times, steps: steps.to_vec() };
        self.state.faults.lock().unwrap().insert((operation, id.to_owned()), fault);
    }

    /// Everything is passed on again.
    pub fn behave(&self) {
        self.state.faults.lock().unwrap().clear();
    }

    /// From now on request heads over so many bytes are refused, and GoTrue does not get them.
    pub fn refuse_heads_over(&self, bytes: usize) {
        self.state.most_head.store(bytes, SeqCst);
    }

    /// How many calls came.
    pub fn calls(&self, operation: Operation, id: &str) -> usize {
        self.state.calls.lock().unwrap().get(&(operation, id.to_owned())).copied().unwrap_or(0)
    }

    /// How many connections were accepted.
    pub fn connections(&self) -> usize {
        self.state.connections.load(SeqCst)
    }

    /// The gateway holds on to no connection on which nothing good comes.
    pub async fn all_given_up(&self) {
        let none = || async { self.state.held.load(SeqCst) == 0 };
        eventually("every broken connection is given up", none).await;
    }

    /// From now on connections are refused, and those that were open are gone.
    pub fn refuse(&self) {
        self.running.lock().unwrap().take();
    }
}
