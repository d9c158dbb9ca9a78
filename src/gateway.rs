//! Starts and stops the gateway: `GATEWAY_THREADS` serving threads, each with its own listener and its own
//! connections to GoTrue, and one thread for background work.

mod background;
mod listeners;
mod passed_sockets;
pub mod state;
mod threads;

use std::{io, sync::Arc, thread::JoinHandle};

use aws_lc_rs::error::Unspecified;
use axum::Router;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use self::listeners::{BoundSocket, Listeners, SocketFile};
pub(crate) use self::passed_sockets::{PassedSocketError, PassedSockets};
use crate::{
    clock::Clock,
    config::{Config, ListenAddress},
    failure_log::{self, FailureWriter},
    gotrue::HttpClientError,
    http::{router, state::AppState},
    store::OpenStoreError,
};

/// A running gateway. Dropping this value does not stop the threads; [`Gateway::stop`] does. The files of the unix
/// sockets are removed in both cases.
#[derive(Debug)]
pub struct Gateway {
    /// The address of the public listener.
    pub address: ListenAddress,
    /// The address of the admin listener; `None` if `GATEWAY_ADMIN_BIND` is `off`.
    pub admin_address: Option<ListenAddress>,
    /// Cancelled by [`Gateway::stop`].
    stopping: CancellationToken,
    /// Cancelled when any of the gateway's threads ends.
    thread_ended: CancellationToken,
    serving: Vec<JoinHandle<()>>,
    background: Option<Background>,
    public_file: Option<SocketFile>,
    admin_file: Option<SocketFile>,
}

/// The background thread. It must end after the serving threads, because their requests may wait for the key
/// set that it fetches.
#[derive(Debug)]
struct Background {
    stop: CancellationToken,
    thread: JoinHandle<()>,
}

/// The error of a gateway that could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listener could not be bound: the address is in use or does not belong to this machine, or the path of a unix
    /// socket has another file.
    #[error("{variable}: cannot listen on {address}: {source}")]
    Bind {
        /// The environment variable that has the address.
        variable: &'static str,
        /// The address that could not be bound.
        address: ListenAddress,
        /// The error of the system call.
        source: io::Error,
    },
    /// The HTTP client for GoTrue could not be built.
    #[error(transparent)]
    Client(#[from] HttpClientError),
    /// The system's random number generator failed.
    #[error("the system's random number generator failed")]
    Random(#[from] Unspecified),
    /// The store could not be opened.
    #[error(transparent)]
    Store(#[from] OpenStoreError),
    /// A thread or its runtime could not be started.
    #[error("a thread could not be started: {0}")]
    Thread(#[from] io::Error),
}

impl Gateway {
    /// Opens the store, binds the listeners and starts all threads. The public listener also serves the
    /// routes of `pages`, such as the demo's page.
    ///
    /// # Errors
    /// [`StartError`]; no thread is then left running.
    pub fn start(config: Config, clock: Clock, pages: &Router) -> Result<Self, StartError> {
        Self::start_with_sockets(config, clock, pages, PassedSockets::default())
    }

    /// Like [`Gateway::start`], with the sockets that systemd has passed in place of configured addresses.
    pub(crate) fn start_with_sockets(
        config: Config,
        clock: Clock,
        pages: &Router,
        passed: PassedSockets,
    ) -> Result<Self, StartError> {
        let Listeners { public, admin } = Listeners::bind(&config.server, passed)?;
        let (admin_address, admin_sockets, admin_file) = match admin {
            Some(admin) => (Some(admin.address), admin.sockets, admin.file),
            None => (None, Vec::new(), None),
        };
        let runtime = threads::runtime()?;
        let store = state::open_store(&runtime, &config.store.address)?;
        let (failures, unwritten) = failure_log::channel();
        let app = Arc::new(state::first(config, clock, store, failures)?);
        let mut gateway = Self {
            address: public.address,
            admin_address,
            stopping: app.stopping.clone(),
            thread_ended: CancellationToken::new(),
            serving: Vec::new(),
            background: None,
            public_file: public.file,
            admin_file,
        };
        let sockets = (public.sockets, admin_sockets.into_iter().next());
        if let Err(error) = gateway.start_threads(sockets, runtime, app, unwritten, pages) {
            gateway.stop();
            return Err(error);
        }
        tracing::info!(
            address = %gateway.address,
            admin_address = gateway.admin_address.as_ref().map(tracing::field::display),
            "listening"
        );
        Ok(gateway)
    }

    fn start_threads(
        &mut self,
        (public, admin): (Vec<BoundSocket>, Option<BoundSocket>),
        background_runtime: Runtime,
        first: Arc<AppState>,
        unwritten: FailureWriter,
        pages: &Router,
    ) -> Result<(), StartError> {
        for socket in public {
            let app = Arc::new(state::another(&first)?);
            let routes = router::public(app.clone(), pages.clone());
            let guard = self.thread_ended.clone().drop_guard();
            self.serving.push(threads::spawn("serving", threads::runtime()?, guard, || {
                Ok(listeners::serve(socket.listen()?, routes, app))
            })?);
        }
        let stop = CancellationToken::new();
        let guard = self.thread_ended.clone().drop_guard();
        let thread = threads::spawn("background", background_runtime, guard, || {
            let admin = admin.map(BoundSocket::listen).transpose()?;
            Ok(background::run(admin, first, unwritten, stop.clone()))
        })?;
        self.background = Some(Background { stop, thread });
        Ok(())
    }

    /// Waits until one of the threads ends although the gateway was not stopped, which happens only after a
    /// panic. The caller must then stop the gateway, because the listener of that thread serves no
    /// connections.
    pub async fn failed(&self) {
        self.thread_ended.cancelled().await;
    }

    /// Drains the public listeners within `GATEWAY_DRAIN_TIMEOUT` and then stops the background thread with
    /// the admin listener. Blocks until all threads have ended.
    pub fn stop(self) {
        // Remove the file before the listeners end, so that no connection is lost: they still accept those that the
        // kernel has completed.
        drop(self.public_file);
        self.stopping.cancel();
        // Ignore a thread's panic: the panic hook has logged it.
        for thread in self.serving {
            let _ = thread.join();
        }
        if let Some(Background { stop, thread }) = self.background {
            stop.cancel();
            let _ = thread.join();
        }
        drop(self.admin_file);
    }
}
