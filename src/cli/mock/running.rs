//! The mock, and the gateway in front of it, while `logout-gateway mock` runs.

use std::{
    io::{self, Write as _},
    net::SocketAddr,
    time::Duration,
};

use axum::Router;
use gotrue_mock::{Algorithm, Mock, Options};
use tokio::{
    net::TcpListener,
    time::{sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use super::origins::allowed_origins;
use crate::{
    cli::local_gateway::{self, SettingsError},
    clock::Clock,
    gateway::{Gateway, StartError},
    gotrue::causes,
    telemetry::{self, Telemetry},
};

/// The longest time until mock and gateway must answer.
const TIME_TO_ANSWER: Duration = Duration::from_secs(10);
/// The pause between two requests to a server that does not answer yet.
const PAUSE: Duration = Duration::from_millis(10);

/// The error of a mock that could not start.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartMockError {
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("cannot start the tokio runtime: {0}")]
    Runtime(io::Error),
    #[error("the signal handlers could not be installed: {0}")]
    Signals(io::Error),
    #[error(transparent)]
    Mock(#[from] gotrue_mock::StartError),
    #[error("the project's keys could not be signed: {0}")]
    ProjectKeys(#[from] jsonwebtoken::errors::Error),
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("the gateway could not start: {0}")]
    Gateway(#[from] StartError),
    #[error("the HTTP client could not be built: {}", causes(.0))]
    Client(#[from] reqwest::Error),
    #[error("{url} did not answer within {} seconds", TIME_TO_ANSWER.as_secs())]
    NoAnswer { url: String },
}

/// A mock that answers until this is dropped.
pub(super) struct RunningMock {
    mock: Mock,
    /// `http://<address>`, which may not be the URL of browsers.
    local_url: String,
    algorithm: Algorithm,
    allowed_origins: String,
    gateway: Option<RunningGateway>,
    _server: AbortOnDropHandle<()>,
}

struct RunningGateway {
    gateway: Gateway,
    _log: Telemetry,
}

impl RunningMock {
    /// Starts a mock at `address`, and prints the line `listening on`.
    pub(super) async fn start(
        address: SocketAddr,
        options: Options,
    ) -> Result<Self, StartMockError> {
        let failed = |source| StartMockError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let local = listener.local_addr().map_err(failed)?;
        let (algorithm, clock) = (options.algorithm, Clock::system());
        let allowed_origins = allowed_origins(&options.settings);
        let mock = Mock::new(options, local, move || clock.now().into())?;
        let server = gotrue_mock::serve(listener, mock.clone(), std::future::pending());
        let server = AbortOnDropHandle::new(tokio::spawn(server));
        let local_url = format!("http://{local}");
        log_line(&format!("listening on {local_url}"));
        Ok(Self { mock, local_url, algorithm, allowed_origins, gateway: None, _server: server })
    }

    /// Starts a gateway in front of the mock, at `address` or, if its port is in use, at a free one, and prints its
    /// URL. Its clock is the mock's, so that a test which advances that clock finds the access token expired at both.
    /// `secret` is the shared secret, if it is known.
    pub(super) fn start_gateway(
        &mut self,
        address: SocketAddr,
        secret: Option<&str>,
    ) -> Result<(), StartMockError> {
        let keys = self.mock.project_keys()?;
        let gotrue = format!("{}/auth/v1", self.local_url);
        let mut settings = vec![
            ("GOTRUE_URL", &*gotrue),
            ("SUPABASE_ANON_KEY", &*keys.anon),
            ("GATEWAY_ALLOWED_ORIGINS", &*self.allowed_origins),
        ];
        match secret.filter(|_| self.algorithm == Algorithm::Hs256) {
            Some(secret) => settings.push(("SUPABASE_JWT_SECRET", secret)),
            // The key set is empty: without this the gateway would wait for a key. GoTrue verifies the tokens.
            None if self.algorithm == Algorithm::Hs256 => {
                settings.push(("GATEWAY_JWT_ALGORITHMS", "HS256"));
            }
            None => {}
        }
        let config = local_gateway::config(address, self.mock.url(), &settings)?;
        let log = telemetry::start(config.logs.format, config.logs.filter.clone(), None);
        let mock = self.mock.clone();
        let clock = Clock::from_fn(move || mock.now());
        let gateway = local_gateway::start(&config, &clock, &Router::new())?;
        log_line(&format!("the gateway listens on http://{}", gateway.address));
        self.gateway = Some(RunningGateway { gateway, _log: log });
        Ok(())
    }

    /// Waits until the mock answers, and until the gateway, if there is one, is ready.
    pub(super) async fn wait_until_ready(&self) -> Result<(), StartMockError> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(TIME_TO_ANSWER)
            // Neither mock nor gateway has TLS, and the machine may have no certificates.
            .tls_certs_only([])
            .build()?;
        let gateway = self.gateway_url().map(|url| format!("{url}/readyz"));
        // The mock does not log the calls of control endpoints, so a test does not see this one.
        for url in [Some(format!("{}/mock/project", self.local_url)), gateway].into_iter().flatten()
        {
            let answered = timeout(TIME_TO_ANSWER, wait_for_success(&client, &url)).await;
            answered.map_err(|_| StartMockError::NoAnswer { url })?;
        }
        Ok(())
    }

    /// The variables by which the command finds the mock and the gateway.
    pub(super) fn environment(&self) -> Result<Vec<(&'static str, String)>, StartMockError> {
        let keys = self.mock.project_keys()?;
        let mut variables = vec![
            ("SUPABASE_URL", self.mock.url().to_owned()),
            ("SUPABASE_ANON_KEY", keys.anon),
            ("SUPABASE_SERVICE_ROLE_KEY", keys.service_role),
            ("SUPABASE_JWKS_URL", self.mock.jwks_url()),
        ];
        variables.extend(self.gateway_url().map(|url| ("GATEWAY_URL", url)));
        Ok(variables)
    }

    fn gateway_url(&self) -> Option<String> {
        self.gateway.as_ref().map(|running| format!("http://{}", running.gateway.address))
    }

    /// Stops the gateway, if there is one, then the mock.
    pub(super) fn stop(self) {
        if let Some(running) = self.gateway {
            running.gateway.stop();
        }
    }
}

/// Repeats a request until its answer is a success.
async fn wait_for_success(client: &reqwest::Client, url: &str) {
    while !client.get(url).send().await.is_ok_and(|answer| answer.status().is_success()) {
        sleep(PAUSE).await;
    }
}

/// Writes a line to standard error. An error is ignored: the mock also works if the reader of standard error has ended.
fn log_line(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
