//! A GoTrue mock on a free port, whose clock stands still until a test moves it, and an HTTP client that does
//! not follow redirects.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a helper that panics makes its test fail, as it should"
)]

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::http::{HeaderMap, Method, StatusCode};
use gotrue_mock::{Mock, Options, Settings, Tokens};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

pub(crate) const PASSWORD: &str = "secret-password-1";

/// A code challenge of PKCE with the method `plain`, which is its code verifier, too.
pub(crate) const CHALLENGE: &str = "a-challenge-of-43-characters-or-more-as-it-has-to-be";

/// The settings of a server that does not confirm addresses and numbers at once.
pub(crate) fn unconfirmed() -> Settings {
    Settings { confirms_emails: false, confirms_phones: false, ..Settings::default() }
}

/// A running mock, which stops when this is dropped.
pub(crate) struct RunningMock {
    pub(crate) mock: Mock,
    /// `http://<address>`.
    local_url: String,
    now: Arc<Mutex<SystemTime>>,
    client: reqwest::Client,
    _server: AbortOnDropHandle<()>,
}

/// A response of the mock that was received completely.
#[derive(Debug)]
pub(crate) struct MockResponse {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl MockResponse {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|_| panic!("the body is not JSON: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The address of a redirect; empty if the response is none.
    pub(crate) fn location(&self) -> &str {
        self.header("location").unwrap_or_default()
    }

    /// The error code in the header `X-Sb-Error-Code`; empty if the response has none.
    pub(crate) fn code(&self) -> &str {
        self.header("x-sb-error-code").unwrap_or_default()
    }
}

impl RunningMock {
    /// Starts a mock with the settings of a local project.
    pub(crate) async fn start_default() -> Self {
        Self::start(Options::default()).await
    }

    pub(crate) async fn start_with(settings: Settings) -> Self {
        Self::start(Options { settings, ..Options::default() }).await
    }

    pub(crate) async fn start(options: Options) -> Self {
        // 1,795,254,478 is 2026-11-21T09:47:58Z, in the minute in which the recordings were made.
        Self::start_at(options, UNIX_EPOCH + Duration::from_secs(1_795_254_478)).await
    }

    pub(crate) async fn start_at(options: Options, now: SystemTime) -> Self {
        let now = Arc::new(Mutex::new(now));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let clock = Arc::clone(&now);
        let address = listener.local_addr().unwrap();
        let mock = Mock::new(options, address, move || *clock.lock().unwrap()).unwrap();
        let server = gotrue_mock::serve(listener, mock.clone(), std::future::pending());
        let client = reqwest::ClientBuilder::new()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self {
            mock,
            local_url: format!("http://{address}"),
            now,
            client,
            _server: AbortOnDropHandle::new(tokio::spawn(server)),
        }
    }

    pub(crate) fn advance_time(&self, time: Duration) {
        *self.now.lock().unwrap() += time;
    }

    /// An access token of an administrator.
    pub(crate) fn admin_token(&self) -> String {
        self.mock.sign(&json!({"role": "service_role"})).unwrap()
    }

    /// Creates a user and a session of that user in the mock; returns the session's tokens.
    pub(crate) fn sign_up(&self) -> Tokens {
        let user = self.mock.create_user(&format!("{}@example.com", Uuid::new_v4()), PASSWORD);
        self.mock.sign_in(user).unwrap()
    }

    /// Sends a request; returns an error if the mock closes the connection before the response is complete.
    pub(crate) async fn try_send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Result<MockResponse, reqwest::Error> {
        let mut request = self.client.request(method, format!("{}{path}", self.local_url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(MockResponse { status, headers, body: response.text().await? })
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> MockResponse {
        self.try_send(method, path, headers, body).await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> MockResponse {
        self.send(Method::GET, path, &[], None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> MockResponse {
        self.send(Method::POST, path, &[], Some(body.to_string())).await
    }

    /// Sends a request with an access token and with GoTrue's API version 2024-01-01.
    pub(crate) async fn send_with_token(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Option<Value>,
    ) -> MockResponse {
        let authorization = format!("Bearer {token}");
        let version = ("x-supabase-api-version", "2024-01-01");
        let headers = [("authorization", authorization.as_str()), version];
        self.send(method, path, &headers, body.map(|body| body.to_string())).await
    }

    pub(crate) async fn logout(&self, token: &str) -> MockResponse {
        let authorization = format!("Bearer {token}");
        let headers = [("authorization", authorization.as_str())];
        self.send(Method::POST, "/auth/v1/logout?scope=local", &headers, None).await
    }

    pub(crate) async fn refresh(&self, token: &str) -> MockResponse {
        let body = json!({ "refresh_token": token });
        self.post("/auth/v1/token?grant_type=refresh_token", body).await
    }
    /// Refreshes a session with its refresh token, which must be valid. Returns the new refresh token.
    pub(crate) async fn refresh_successfully(&self, token: &str) -> String {
        let response = self.refresh(token).await;
        assert_eq!(response.status, StatusCode::OK, "{}", response.body);
        response.json()["refresh_token"].as_str().unwrap().to_owned()
    }
}
