//! A mock on port 0 whose clock stands still until a test moves it, and a client that follows no
//! redirects.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a helper that fails, fails its test")]

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::http::{HeaderMap, Method, StatusCode};
use gotrue_mock::{Mock, Options, Tokens};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

pub(crate) const PASSWORD: &str = "secret-password-1";

/// A mock that answers until it is dropped.
pub(crate) struct RunningMock {
    pub(crate) mock: Mock,
    now: Arc<Mutex<SystemTime>>,
    client: reqwest::Client,
    _server: AbortOnDropHandle<()>,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The error code, by the header.
    pub(crate) fn code(&self) -> &str {
        self.header("x-sb-error-code").unwrap_or_default()
    }
}

impl RunningMock {
    pub(crate) async fn start(options: Options) -> Self {
        // 2026-11-21T09:47:58Z, within the minute of the recordings.
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
        Self { mock, now, client, _server: AbortOnDropHandle::new(tokio::spawn(server)) }
    }

    pub(crate) fn pass(&self, time: Duration) {
        *self.now.lock().unwrap() += time;
    }

    /// One session of a new user.
    pub(crate) fn session(&self) -> Tokens {
        let user = self.mock.create_user(&format!("{}@example.com", Uuid::new_v4()), PASSWORD);
        self.mock.sign_in(user).unwrap()
    }

    /// A request whose answer may never come whole.
    pub(crate) async fn attempt(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Result<Answer, reqwest::Error> {
        let mut request = self.client.request(method, format!("{}{path}", self.mock.url()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(Answer { status, headers, body: response.text().await? })
    }

    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Answer {
        self.attempt(method, path, headers, body).await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, &[], None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::POST, path, &[], Some(body.to_string())).await
    }

    /// A request with an access token, by the API version of 2024.
    pub(crate) async fn ask_as(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Option<Value>,
    ) -> Answer {
        let authorization = format!("Bearer {token}");
        let version = ("x-supabase-api-version", "2024-01-01");
        let headers = [("authorization", authorization.as_str()), version];
        self.ask(method, path, &headers, body.map(|body| body.to_string())).await
    }

    pub(crate) async fn logout(&self, token: &str) -> Answer {
        let authorization = format!("Bearer {token}");
        let headers = [("authorization", authorization.as_str())];
        self.ask(Method::POST, "/auth/v1/logout?scope=local", &headers, None).await
    }

    pub(crate) async fn refresh(&self, token: &str) -> Answer {
        let body = json!({ "refresh_token": token });
        self.post("/auth/v1/token?grant_type=refresh_token", body).await
    }
}
