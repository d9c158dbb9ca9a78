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

use self::connection::serve;
pub use self::connection::{FaultStep, Operation};
use super::{BackgroundThread, Setup, TestApp, eventually};

mod connection;

/// What goes wrong with the calls of one operation that carry one request id; the key set's carry
/// none.
struct Fault {
    times: usize,
    steps: Vec<FaultStep>,
}

type CallKey = (Operation, String);

#[derive(Default)]
struct State {
    faults: Mutex<HashMap<CallKey, Fault>>,
    calls: Mutex<HashMap<CallKey, usize>>,
    connections: AtomicUsize,
    /// Connections in a step that only the gateway can end.
    held_connections: AtomicUsize,
    /// A longer request head is answered 400, as a proxy in front of GoTrue does; 0 is no limit.
    max_head_bytes: AtomicUsize,
}

impl State {
    /// Counts the call, and what is to happen to it.
    fn record_call(&self, call: &CallKey) -> Option<Vec<FaultStep>> {
        *self.calls.lock().unwrap().entry(call.clone()).or_default() += 1;
        let mut faults = self.faults.lock().unwrap();
        let fault = faults.get_mut(call).filter(|fault| fault.times > 0)?;
        fault.times -= 1;
        Some(fault.steps.clone())
    }
}

/// The wire; it ends with the test.
pub struct FaultProxy {
    address: SocketAddr,
    state: Arc<State>,
    /// Where the mock is, once it is known.
    mock: watch::Sender<Option<SocketAddr>>,
    running: Mutex<Option<BackgroundThread>>,
}

impl FaultProxy {
    /// Listens; nothing is passed on before there is a test app.
    pub fn start() -> Self {
        let (proxy, socket) = Self::bind_without_listening();
        proxy.listen(socket);
        proxy
    }

    /// Refuses connections until it is opened.
    pub fn bind_without_listening() -> (Self, TcpSocket) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let (address, mock) = (socket.local_addr().unwrap(), watch::channel(None).0);
        (Self { address, state: Arc::default(), mock, running: Mutex::default() }, socket)
    }

    /// Listens.
    pub fn listen(&self, socket: TcpSocket) {
        let (shared, known) = (self.state.clone(), self.mock.subscribe());
        let (listening, heard) = mpsc::channel();
        let thread = BackgroundThread::spawn(move || async move {
            let listener = socket.listen(1024).unwrap();
            listening.send(()).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                shared.connections.fetch_add(1, SeqCst);
                tokio::spawn(serve(stream, shared.clone(), known.clone()));
            }
        });
        heard.recv().unwrap();
        *self.running.lock().unwrap() = Some(thread);
    }

    /// A gateway that has this between itself and its mock; not awaited to be ready.
    pub async fn start_unready_app(&self, setup: Setup) -> TestApp {
        let gotrue = format!("http://{}/auth/v1", self.address);
        let app = setup.flag("gotrue-url", &gotrue).without_readiness_check().start().await;
        let mock = app.mock.url().strip_prefix("http://").unwrap().parse().unwrap();
        self.mock.send_replace(Some(mock));
        app
    }

    pub async fn start_app(&self, setup: Setup) -> TestApp {
        let app = self.start_unready_app(setup).await;
        eventually("ready", || async { app.get("/readyz").send().await.status == 200 }).await;
        app
    }

    /// From now on, `times` times.
    pub fn inject_fault(&self, operation: Operation, id: &str, times: usize, steps: &[FaultStep]) {
        let fault = Fault { times, steps: steps.to_vec() };
        self.state.faults.lock().unwrap().insert((operation, id.to_owned()), fault);
    }

    /// Everything is passed on again.
    pub fn clear_faults(&self) {
        self.state.faults.lock().unwrap().clear();
    }

    /// From now on request heads over so many bytes are refused, and GoTrue does not get them.
    pub fn limit_request_heads(&self, bytes: usize) {
        self.state.max_head_bytes.store(bytes, SeqCst);
    }

    /// How many calls came.
    pub fn call_count(&self, operation: Operation, id: &str) -> usize {
        self.state.calls.lock().unwrap().get(&(operation, id.to_owned())).copied().unwrap_or(0)
    }

    /// How many connections were accepted.
    pub fn connection_count(&self) -> usize {
        self.state.connections.load(SeqCst)
    }

    /// The gateway holds on to no connection on which nothing good comes.
    pub async fn wait_until_connections_dropped(&self) {
        let none = || async { self.state.held_connections.load(SeqCst) == 0 };
        eventually("every broken connection is given up", none).await;
    }

    /// From now on connections are refused, and those that were open are gone.
    pub fn stop_listening(&self) {
        self.running.lock().unwrap().take();
    }
}
