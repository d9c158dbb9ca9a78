//! A TCP proxy between the gateway and the mock. The proxy forwards every call except those for which a test
//! injects a fault, such as a reset connection or half a response. It counts all calls that arrive, including
//! those that it does not forward.

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

/// A fault: the steps that replace the forwarding of the next `times` calls with one [`CallKey`].
struct Fault {
    times: usize,
    steps: Vec<FaultStep>,
}

/// The operation of a call and its `X-Request-Id`, which is empty for fetches of the key set.
type CallKey = (Operation, String);

#[derive(Default)]
struct State {
    faults: Mutex<HashMap<CallKey, Fault>>,
    calls: Mutex<HashMap<CallKey, usize>>,
    connections: AtomicUsize,
    /// The number of connections in a step that lasts until the gateway closes the connection.
    held_connections: AtomicUsize,
    /// The most bytes of a request head that the proxy accepts; it answers a longer one with 400, as nginx
    /// does. 0 means no limit.
    max_head_bytes: AtomicUsize,
}

impl State {
    /// Counts the call; returns the steps of its fault, or `None` if no fault is injected for it.
    fn record_call(&self, call: &CallKey) -> Option<Vec<FaultStep>> {
        *self.calls.lock().unwrap().entry(call.clone()).or_default() += 1;
        let mut faults = self.faults.lock().unwrap();
        let fault = faults.get_mut(call).filter(|fault| fault.times > 0)?;
        fault.times -= 1;
        Some(fault.steps.clone())
    }
}

/// A running proxy, which stops when it is dropped.
pub struct FaultProxy {
    address: SocketAddr,
    state: Arc<State>,
    /// The mock's address; `None` until [`Self::start_unready_app`] has started the mock.
    mock: watch::Sender<Option<SocketAddr>>,
    running: Mutex<Option<BackgroundThread>>,
}

impl FaultProxy {
    /// Starts a proxy that listens. Calls wait until [`Self::start_unready_app`] has started a mock for them.
    pub fn start() -> Self {
        let (proxy, socket) = Self::bind_without_listening();
        proxy.listen(socket);
        proxy
    }

    /// Reserves a port that refuses connections until [`Self::listen`] is called.
    pub fn bind_without_listening() -> (Self, TcpSocket) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let (address, mock) = (socket.local_addr().unwrap(), watch::channel(None).0);
        (Self { address, state: Arc::default(), mock, running: Mutex::default() }, socket)
    }

    /// Starts to accept connections on the socket that [`Self::bind_without_listening`] returned.
    pub fn listen(&self, socket: TcpSocket) {
        let (state, mock) = (self.state.clone(), self.mock.subscribe());
        let (send_listening, listening) = mpsc::channel();
        let thread = BackgroundThread::spawn(move || async move {
            let listener = socket.listen(1024).unwrap();
            send_listening.send(()).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                state.connections.fetch_add(1, SeqCst);
                tokio::spawn(serve(stream, state.clone(), mock.clone()));
            }
        });
        listening.recv().unwrap();
        *self.running.lock().unwrap() = Some(thread);
    }

    /// Starts an app whose gateway calls its mock through this proxy, without waiting for readiness.
    pub async fn start_unready_app(&self, setup: Setup) -> TestApp {
        let gotrue = format!("http://{}/auth/v1", self.address);
        let app = setup.flag("gotrue-url", &gotrue).without_readiness_check().start().await;
        let mock = app.mock.url().strip_prefix("http://").unwrap().parse().unwrap();
        self.mock.send_replace(Some(mock));
        app
    }

    /// Like [`Self::start_unready_app`], but waits until the gateway is ready.
    pub async fn start_app(&self, setup: Setup) -> TestApp {
        let app = self.start_unready_app(setup).await;
        eventually("ready", || async { app.get("/readyz").send().await.status == 200 }).await;
        app
    }

    /// Injects a fault: the proxy runs `steps` for the next `times` calls with this operation and request id.
    pub fn inject_fault(&self, operation: Operation, id: &str, times: usize, steps: &[FaultStep]) {
        let fault = Fault { times, steps: steps.to_vec() };
        self.state.faults.lock().unwrap().insert((operation, id.to_owned()), fault);
    }

    /// Removes all injected faults, so that the proxy forwards all calls again.
    pub fn clear_faults(&self) {
        self.state.faults.lock().unwrap().clear();
    }

    /// Makes the proxy answer request heads of more than `bytes` with 400 from now on, without forwarding
    /// them.
    pub fn limit_request_heads(&self, bytes: usize) {
        self.state.max_head_bytes.store(bytes, SeqCst);
    }

    /// The number of calls with this operation and this request id that have arrived at the proxy.
    pub fn call_count(&self, operation: Operation, id: &str) -> usize {
        self.state.calls.lock().unwrap().get(&(operation, id.to_owned())).copied().unwrap_or(0)
    }

    /// The number of connections that the proxy has accepted since its start.
    pub fn connection_count(&self) -> usize {
        self.state.connections.load(SeqCst)
    }

    /// Waits until the gateway has closed every connection that a fault holds open.
    pub async fn wait_until_connections_dropped(&self) {
        let none_held = || async { self.state.held_connections.load(SeqCst) == 0 };
        eventually("the gateway has closed every faulty connection", none_held).await;
    }

    /// Stops the proxy: it closes its connections, and its port refuses new ones.
    pub fn stop_listening(&self) {
        self.running.lock().unwrap().take();
    }
}
