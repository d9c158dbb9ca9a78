//! The whole gateway in one process: a current-thread runtime for each core, with its own listener
//! and its own connections to GoTrue, and one more for what happens in the background.

mod background;

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    thread::{self, Builder, JoinHandle, ScopedJoinHandle},
};

use aws_lc_rs::error::Unspecified;
use axum::Router;
use tokio::{
    net::{TcpListener, TcpSocket},
    runtime::{self, Runtime},
    sync::Semaphore,
    time::{Instant, timeout},
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use crate::{
    clock::Clock,
    config::Config,
    csrf::Csrf,
    failure_log::{self, FailureLog, Unwritten},
    gotrue::{GoTrue, HttpClientError},
    http::{places::Places, router, server, state::AppState},
    logout::{LocalLogouts, Logout},
    queue::{bounds::Bounds, credentials::Seal, enqueue::RevocationQueue},
    readiness::Readiness,
    session::{jwks::Jwks, verifier::Verifier},
    store::{self, CannotOpen, Store, instrumented::InstrumentedStore},
    telemetry::metrics::Metrics,
};

/// The kernel cuts it to `net.core.somaxconn`.
const BACKLOG: u32 = 1024;

/// A running gateway. Dropping it does not stop it; [`Gateway::stop`] does.
#[derive(Debug)]
pub struct Gateway {
    /// Where the public listener is.
    pub address: SocketAddr,
    /// Where the admin listener is, unless it is off.
    pub admin_address: Option<SocketAddr>,
    /// Cancelled by [`Gateway::stop`].
    stopping: CancellationToken,
    /// Cancelled by the end of any thread.
    ended: CancellationToken,
    serving: Vec<JoinHandle<()>>,
    /// Goes on until nobody serves any more: a request may wait for the key set.
    background: Option<(CancellationToken, JoinHandle<()>)>,
}

/// Why the gateway could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address is taken, or not this machine's.
    #[error("{variable}: cannot listen on {address}: {source}")]
    Bind {
        /// The setting that names the address.
        variable: &'static str,
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// No HTTP client.
    #[error(transparent)]
    Client(#[from] HttpClientError),
    /// No randomness.
    #[error("the system gives no random numbers")]
    Random(#[from] Unspecified),
    /// No store.
    #[error(transparent)]
    Store(#[from] CannotOpen),
    /// No thread or no runtime.
    #[error("a thread could not be started: {0}")]
    Thread(#[from] io::Error),
}

impl Gateway {
    /// Binds the listeners and serves on them; `pages` are served beside the gateway's own routes.
    ///
    /// # Errors
    /// [`StartError`]; then nothing is left running.
    pub fn start(config: Config, clock: Clock, pages: &Router) -> Result<Self, StartError> {
        let (address, sockets) =
            server::bind(config.server.bind, config.server.threads.get()).map_err(|source| {
                StartError::Bind { variable: "GATEWAY_BIND", address: config.server.bind, source }
            })?;
        let admin =
            match config.server.admin_bind {
                None => None,
                Some(address) => Some(server::bind(address, 1).map_err(|source| {
                    StartError::Bind { variable: "GATEWAY_ADMIN_BIND", address, source }
                })?),
            };
        let admin_address = admin.as_ref().map(|(address, _)| *address);
        let background = runtime()?;
        let store = open(&background, &config)?;
        let (failures, unwritten) = failure_log::channel();
        let first = Arc::new(first_app(config, clock, store, failures)?);
        let mut gateway = Self {
            address,
            admin_address,
            stopping: first.stopping.clone(),
            ended: CancellationToken::new(),
            serving: Vec::new(),
            background: None,
        };
        let admin_socket = admin.and_then(|(_, sockets)| sockets.into_iter().next());
        let background = (background, admin_socket, unwritten);
        if let Err(error) = gateway.run_all(sockets, background, first, pages) {
            gateway.stop();
            return Err(error);
        }
        tracing::info!(%address, admin_address = admin_address.map(tracing::field::display), "listening");
        Ok(gateway)
    }

    fn run_all(
        &mut self,
        sockets: Vec<TcpSocket>,
        (runtime_behind, admin_socket, unwritten): (Runtime, Option<TcpSocket>, Unwritten),
        first: Arc<AppState>,
        pages: &Router,
    ) -> Result<(), StartError> {
        for socket in sockets {
            let app = Arc::new(another_app(&first)?);
            let router = router::public(app.clone(), pages.clone());
            let ended = self.ended.clone().drop_guard();
            self.serving.push(thread("serving", runtime()?, ended, || {
                Ok(serve(socket.listen(BACKLOG)?, router, app))
            })?);
        }
        let over = CancellationToken::new();
        let ended = self.ended.clone().drop_guard();
        let background = thread("background", runtime_behind, ended, || {
            let admin = admin_socket.map(|socket| socket.listen(BACKLOG)).transpose()?;
            Ok(background::run(admin, first, unwritten, over.clone()))
        })?;
        self.background = Some((over, background));
        Ok(())
    }

    /// Waits until a thread ends by itself, which only a panic makes it do: whoever connects to its
    /// listener is no longer served, so nothing is left but to stop.
    pub async fn failed(&self) {
        self.ended.cancelled().await;
    }

    /// Ends what is under way, within `GATEWAY_DRAIN_TIMEOUT`, and then everything. The admin listener
    /// answers until the last moment.
    pub fn stop(self) {
        self.stopping.cancel();
        // A thread that panicked has said so.
        for thread in self.serving {
            let _ = thread.join();
        }
        if let Some((over, thread)) = self.background {
            over.cancel();
            let _ = thread.join();
        }
    }
}

fn runtime() -> io::Result<Runtime> {
    runtime::Builder::new_current_thread().enable_all().build()
}

/// The store; what it does by itself, it does on `runtime`.
fn open(runtime: &Runtime, config: &Config) -> Result<Arc<dyn Store>, StartError> {
    let opened = thread::scope(|scope| {
        // Whoever starts a gateway may be on a runtime already, which must not wait for another.
        Builder::new()
            .spawn_scoped(scope, || runtime.block_on(store::open(&config.store.address)))
            .map(ScopedJoinHandle::join)
    });
    let panicked = |_| CannotOpen("opening it panicked".to_owned());
    Ok(opened?.map_err(panicked)??)
}

/// A thread with that runtime. What `work` does before its future is done when this returns:
/// whoever reads `listening` finds somebody there.
fn thread<F>(
    name: &str,
    runtime: Runtime,
    ended: DropGuard,
    work: impl FnOnce() -> io::Result<F>,
) -> io::Result<JoinHandle<()>>
where
    F: Future<Output = ()> + Send + 'static,
{
    let work = {
        let _entered = runtime.enter();
        work()?
    };
    Builder::new().name(name.to_owned()).spawn(move || {
        let _ended = ended;
        runtime.block_on(work);
        // A resolver that hangs must not outlast the drain.
        runtime.shutdown_background();
    })
}

/// What the first thread works with; no key set is fetched yet.
///
/// # Errors
/// [`StartError`]: no HTTP client, or no randomness.
pub fn first_app(
    config: Config,
    clock: Clock,
    store: Arc<dyn Store>,
    failures: FailureLog,
) -> Result<AppState, StartError> {
    let seal = if store.queue().is_some() { Seal::new(&config.secrets)? } else { None };
    let bounds = Bounds::new(config.store.queue_max_bytes, config.limits.header_bytes);
    let metrics = Arc::new(Metrics::new());
    let jwks = Arc::new(Jwks::new(config.upstream.timeout, metrics.clone()));
    let verifier = Arc::new(Verifier::new(&config.supabase, jwks.clone()));
    let store: Arc<dyn Store> = Arc::new(InstrumentedStore::new(store, metrics.clone()));
    let stopping = CancellationToken::new();
    Ok(AppState {
        csrf: Arc::new(Csrf::new(&config)?),
        readiness: Arc::new(Readiness::new(&stopping, &store, &verifier, &jwks, &clock)),
        verifier,
        jwks,
        introspections: Arc::default(),
        revoked_session_log: Arc::default(),
        failures,
        connections: Arc::new(Semaphore::new(config.limits.connections)),
        places: Places::new(config.limits.in_flight),
        logout: Logout {
            gotrue: GoTrue::new(&config.supabase, metrics.clone())?,
            store,
            queue: seal.map(|seal| Arc::new(RevocationQueue::new(seal, bounds))),
            clock,
            max_token_lifetime: config.store.max_token_lifetime,
            local_logouts: LocalLogouts::default(),
        },
        logouts: TaskTracker::new(),
        started_at: Instant::now(),
        stopping,
        metrics,
        config: Arc::new(config),
    })
}

/// What another thread works with: its own connections to GoTrue, all else shared.
fn another_app(first: &AppState) -> Result<AppState, HttpClientError> {
    let gotrue = GoTrue::new(&first.config.supabase, first.metrics.clone())?;
    let logout = Logout { gotrue, ..first.logout.clone() };
    Ok(AppState { logout, logouts: TaskTracker::new(), ..first.clone() })
}

/// One listener, until shutdown and drained.
async fn serve(listener: TcpListener, router: Router, app: Arc<AppState>) {
    let (config, stopping) = (&app.config, app.stopping.clone());
    let open =
        server::run(listener, router, &config.limits, app.connections.clone(), stopping).await;
    let drained = timeout(config.server.drain_timeout, async {
        open.wait().await;
        app.logouts.close();
        app.logouts.wait().await;
    });
    if drained.await.is_err() {
        tracing::warn!(
            connections = open.len(),
            logouts = app.logouts.len(),
            "not everything ended in time"
        );
    }
}
