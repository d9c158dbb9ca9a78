//! A gateway and a GoTrue mock that start for one test and stop when it ends.

mod setup;

use std::{collections::BTreeMap, net::SocketAddr, sync::Mutex, thread::JoinHandle};

use axum::Router;
use gotrue_mock::{Call, Mock, Tokens};
use logout_gateway::Gateway;
use tokio::sync::oneshot;
use uuid::Uuid;

use self::setup::config;
pub use self::setup::{SECRET, START_TIME, Setup};
use super::{Request, TestClock, gateway_process::addresses, leak_check};

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
