//! A gateway and a GoTrue mock that start for one test and stop when it ends.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::Mutex,
    thread::{self, JoinHandle},
    time::Duration,
};

use axum::Router;
use gotrue_mock::{Call, Mock, Options, Tokens};
use logout_gateway::{Args, Config, Gateway};
use tokio::{net::TcpListener, sync::oneshot};
use uuid::Uuid;

use super::{Request, TestClock, eventually, gateway_process::addresses, leak_check};

/// The time on the test clock when an app starts by default, in seconds since the Unix epoch.
pub const START_TIME: i64 = 1_800_000_000;
/// The value of `GATEWAY_SECRET` in every test.
pub const SECRET: &str = "the-secret-of-the-tests-0123456789abcdef";

/// Builds a [`TestApp`]: every method changes one setting from its default.
pub struct Setup {
    flags: BTreeMap<String, String>,
    options: Options,
    start_time: i64,
    await_readiness: bool,
    gotrue_clock_ahead: i64,
    extra_routes: Router,
}

impl Setup {
    pub fn new() -> Self {
        let flags = [
            ("supabase-anon-key", "test-anon-key"),
            ("secret", SECRET),
            ("bind", "127.0.0.1:0"),
            ("admin-bind", "off"),
            ("threads", "1"),
        ];
        Self {
            flags: flags.map(|(flag, value)| (flag.to_owned(), value.to_owned())).into(),
            options: Options::default(),
            start_time: START_TIME,
            await_readiness: true,
            gotrue_clock_ahead: 0,
            extra_routes: Router::new(),
        }
    }

    /// Sets a command-line flag of `serve`; `flag` is its name without the leading hyphens.
    pub fn flag(mut self, flag: &str, value: &str) -> Self {
        self.flags.insert(flag.to_owned(), value.to_owned());
        self
    }

    pub fn flags(self, flags: &[(&str, &str)]) -> Self {
        flags.iter().fold(self, |setup, (flag, value)| setup.flag(flag, value))
    }

    pub fn algorithm(mut self, algorithm: gotrue_mock::Algorithm) -> Self {
        self.options.algorithm = algorithm;
        self
    }

    pub fn token_lifetime(mut self, seconds: u64) -> Self {
        self.options.token_lifetime = Duration::from_secs(seconds);
        self
    }

    /// Sets the claim `iss` of the mock's tokens, which is the mock's own URL by default.
    pub fn issuer(mut self, issuer: &str) -> Self {
        self.options.issuer = Some(issuer.to_owned());
        self
    }

    /// Sets the time on the test clock when the app starts, in seconds since the Unix epoch.
    pub fn start_time(mut self, seconds: i64) -> Self {
        self.start_time = seconds;
        self
    }

    /// Sets the mock's clock `seconds` ahead of the gateway's clock.
    pub fn gotrue_clock_ahead(mut self, seconds: i64) -> Self {
        self.gotrue_clock_ahead = seconds;
        self
    }

    /// Adds `routes` to the gateway's own routes.
    pub fn extra_routes(mut self, routes: Router) -> Self {
        self.extra_routes = routes;
        self
    }

    /// Makes [`Self::start`] return before `/readyz` answers 200.
    pub fn without_readiness_check(mut self) -> Self {
        self.await_readiness = false;
        self
    }

    /// Starts the mock, injects `faults` into the mock, and then starts the gateway.
    pub async fn start_with_faults(self, faults: &[serde_json::Value]) -> TestApp {
        leak_check::capture_process_log();
        let clock = TestClock::starting_at(self.start_time);
        let mock_clock = match self.gotrue_clock_ahead {
            0 => clock.clone(),
            ahead => TestClock::starting_at(self.start_time + ahead),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gotrue_clock = mock_clock.to_clock();
        let mock = Mock::new(self.options, listener.local_addr().unwrap(), move || {
            gotrue_clock.now().into()
        })
        .unwrap();
        for fault in faults {
            mock.inject(serde_json::from_value(fault.clone()).unwrap());
        }
        let (stop_mock, stopped) = oneshot::channel::<()>();
        let (listener, served) = (listener.into_std().unwrap(), mock.clone());
        // The mock needs its own thread: a test that stops the gateway blocks the test's runtime, and the
        // gateway may still call the mock.
        let mock_thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                gotrue_mock::serve(listener, served, async { drop(stopped.await) }).await;
            });
        });
        let mut flags = self.flags;
        flags.entry("supabase-url".to_owned()).or_insert_with(|| mock.url().to_owned());
        let gateway = Gateway::start(config(&flags), clock.to_clock(), &self.extra_routes).unwrap();
        let (address, admin_address) = addresses(&gateway);
        let app = TestApp {
            address,
            admin_address,
            flags,
            gateway: Mutex::new(Some(gateway)),
            stopping: Mutex::new(Some((stop_mock, mock_thread))),
            mock,
            clock,
            mock_clock,
        };
        if self.await_readiness {
            eventually("ready", || async { app.get("/readyz").send().await.status == 200 }).await;
        }
        app
    }

    /// Returns the gateway's configuration without starting anything; the flags must include `supabase-url`.
    pub fn config(&self) -> Config {
        config(&self.flags)
    }

    pub async fn start(self) -> TestApp {
        self.start_with_faults(&[]).await
    }
}

/// Parses settings, which `flags` names by their flags, and ignores the environment variables of the test
/// process.
fn config(flags: &BTreeMap<String, String>) -> Config {
    for (flag, value) in flags {
        leak_check::record_setting(flag, value);
    }
    Config::parse(Args::of_settings(flags).unwrap()).unwrap()
}

/// A running gateway and the GoTrue mock that it calls. Both stop when this is dropped.
pub struct TestApp {
    pub address: SocketAddr,
    pub admin_address: Option<SocketAddr>,
    pub mock: Mock,
    /// The gateway's clock, which is also the mock's unless [`Setup::gotrue_clock_ahead`] was called.
    pub clock: TestClock,
    mock_clock: TestClock,
    flags: BTreeMap<String, String>,
    gateway: Mutex<Option<Gateway>>,
    stopping: Mutex<Option<(oneshot::Sender<()>, JoinHandle<()>)>>,
}

impl TestApp {
    pub async fn new() -> Self {
        Setup::new().start().await
    }

    pub async fn with_flags(flags: &[(&str, &str)]) -> Self {
        Setup::new().flags(flags).start().await
    }

    pub fn request(&self, method: &str, target: &str) -> Request {
        Request::new(self.address, method, target)
    }

    pub fn get(&self, target: &str) -> Request {
        self.request("GET", target)
    }

    pub fn post(&self, target: &str) -> Request {
        self.request("POST", target)
    }

    /// Creates a user and a session of that user in the mock; returns the session's tokens.
    pub fn sign_up(&self) -> Tokens {
        let user = self.mock.create_user(&format!("{}@example.com", Uuid::new_v4()), "password");
        let tokens = self.mock.sign_in(user).unwrap();
        leak_check::record_session(&tokens);
        tokens
    }

    /// Creates another session of the user whose tokens are `tokens`; returns the new session's tokens.
    pub fn sign_in_again(&self, tokens: &Tokens) -> Tokens {
        let tokens = self.mock.sign_in(tokens.user_id).unwrap();
        leak_check::record_session(&tokens);
        tokens
    }

    /// Returns whether the mock still has the session to which `tokens` belong.
    pub fn is_alive(&self, tokens: &Tokens) -> bool {
        self.mock.session_alive(tokens.session_id)
    }

    /// Injects a fault into the mock, in the JSON form of the mock's control endpoint.
    pub fn inject_fault(&self, fault: serde_json::Value) {
        self.mock.inject(serde_json::from_value(fault).unwrap());
    }

    /// The calls that the mock received at `/auth/v1/{operation}`, such as `logout`.
    pub fn gotrue_calls(&self, operation: &str) -> Vec<Call> {
        let path = format!("/auth/v1/{operation}");
        self.mock.calls().into_iter().filter(|call| call.path == path).collect()
    }

    /// The number of calls that the mock received, except fetches of the key set, the issuer and the version.
    pub fn gotrue_call_count(&self) -> usize {
        let is_background_fetch =
            |path: &str| path.starts_with("/auth/v1/.well-known/") || path == "/auth/v1/health";
        self.mock.calls().iter().filter(|call| !is_background_fetch(&call.path)).count()
    }

    /// Fetches a CSRF token for the session with `GET /api/auth/csrf`, as an application does.
    pub async fn csrf_token(&self, tokens: &Tokens) -> String {
        let reply = self.get("/api/auth/csrf").bearer(&tokens.access_token).send().await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()["data"]["csrf_token"].as_str().unwrap().to_owned()
    }

    /// The status of the response to `GET /api/auth/verify` with the session's access token.
    pub async fn verify(&self, tokens: &Tokens) -> u16 {
        self.get("/api/auth/verify").bearer(&tokens.access_token).send().await.status
    }

    /// Moves the clocks of the gateway and of the mock forward by `seconds`.
    pub fn advance_time(&self, seconds: i64) {
        self.clock.advance(seconds);
        if !self.clock.is_same_clock(&self.mock_clock) {
            self.mock_clock.advance(seconds);
        }
    }

    /// Stops the gateway and starts another one on another port, with the flags in `changes` set anew.
    pub fn restart_gateway(&mut self, changes: &[(&str, &str)]) {
        self.stop_gateway();
        for (flag, value) in changes {
            self.flags.insert((*flag).to_owned(), (*value).to_owned());
        }
        let gateway =
            Gateway::start(config(&self.flags), self.clock.to_clock(), &Router::new()).unwrap();
        (self.address, self.admin_address) = addresses(&gateway);
        *self.gateway.lock().unwrap() = Some(gateway);
    }

    /// The JSON body of the response of the admin listener to `GET` of `target`, such as `/queue`.
    pub async fn admin_json(&self, target: &str) -> serde_json::Value {
        Request::new(self.admin_address.unwrap(), "GET", target).send().await.json()
    }

    /// Stops the mock: its port refuses connections from now on, as when GoTrue is down.
    pub fn stop_mock(&self) {
        if let Some((stop, thread)) = self.stopping.lock().unwrap().take() {
            drop(stop);
            thread.join().unwrap();
        }
    }

    /// Stops the gateway and waits until it has finished.
    pub fn stop_gateway(&self) {
        if let Some(gateway) = self.gateway.lock().unwrap().take() {
            gateway.stop();
        }
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.stop_gateway();
        leak_check::record_gotrue_calls(&self.mock.calls());
        self.stop_mock();
    }
}
