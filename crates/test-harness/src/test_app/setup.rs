//! The settings of a [`TestApp`], and its start.

use std::{collections::BTreeMap, sync::Mutex, thread, time::Duration};

use axum::Router;
use gotrue_mock::{Mock, Options};
use logout_gateway::{Args, Config, Gateway};
use tokio::{net::TcpListener, sync::oneshot};

use super::TestApp;
use crate::{TestClock, eventually, gateway_process::addresses, leak_check};

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
pub(super) fn config(flags: &BTreeMap<String, String>) -> Config {
    for (flag, value) in flags {
        leak_check::record_setting(flag, value);
    }
    Config::parse(Args::of_settings(flags).unwrap()).unwrap()
}
