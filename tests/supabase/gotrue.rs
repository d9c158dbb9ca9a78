//! A client of GoTrue that uses only the routes that every application uses.

use std::time::Duration;

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

/// The number of tries of a request to which GoTrue answers 429, and the longest wait before the next try.
const TRIES: usize = 4;
const MAX_WAIT: Duration = Duration::from_mins(1);

/// A session from GoTrue's response to a sign-in or to a refresh.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) user_id: Uuid,
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
    /// The lifetime of the access token, in seconds.
    pub(crate) expires_in: i64,
}

impl Session {
    /// Reads the session from a response of GoTrue; returns `None` if the response has no session.
    fn from_response(response: &Value) -> Option<Self> {
        let word = |value: &Value| value.as_str().map(str::to_owned);
        Some(Self {
            user_id: response["user"]["id"].as_str()?.parse().ok()?,
            access_token: word(&response["access_token"])?,
            refresh_token: word(&response["refresh_token"])?,
            expires_in: response["expires_in"].as_i64()?,
        })
    }
}

/// A client that calls GoTrue at its base URL.
pub(crate) struct GoTrue {
    http: Client,
    base: String,
    api_key: Option<String>,
}

impl GoTrue {
    pub(crate) fn new(base: &str, api_key: Option<&str>) -> Self {
        let http = Client::builder().timeout(Duration::from_secs(30)).build().unwrap();
        let base = base.trim_end_matches('/').to_owned();
        Self { http, base, api_key: api_key.map(str::to_owned) }
    }

    /// Creates a user; returns the user's first session.
    pub(crate) async fn sign_up(&self, email: &str, password: &str) -> Session {
        let body = json!({"email": email, "password": password});
        let (status, response) = self.send(Method::POST, "/signup", None, Some(body)).await;
        assert_eq!(status, StatusCode::OK, "{email} could not sign up: {}", response["msg"]);
        Session::from_response(&response)
            .expect("a session; the project must not require confirmed e-mail addresses")
    }

    /// Signs an existing user in; returns the new session.
    pub(crate) async fn sign_in(&self, email: &str, password: &str) -> Session {
        let body = json!({"email": email, "password": password});
        let path = "/token?grant_type=password";
        let (status, response) = self.send(Method::POST, path, None, Some(body)).await;
        assert_eq!(status, StatusCode::OK, "{email} could not sign in");
        Session::from_response(&response).unwrap()
    }

    /// Returns whether GoTrue accepts the session's access token. The test fails if GoTrue refuses the token
    /// with another code than `session_not_found`.
    pub(crate) async fn is_alive(&self, session: &Session) -> bool {
        let token = Some(&*session.access_token);
        let (status, response) = self.send(Method::GET, "/user", token, None).await;
        if status != StatusCode::OK {
            assert_eq!(
                (status, &response["code"]),
                (StatusCode::FORBIDDEN, &json!("session_not_found"))
            );
        }
        status == StatusCode::OK
    }

    /// Refreshes the session; returns the new tokens, or `None` if GoTrue no longer has the refresh token.
    pub(crate) async fn refresh(&self, session: &Session) -> Option<Session> {
        let body = json!({"refresh_token": session.refresh_token});
        let path = "/token?grant_type=refresh_token";
        let (status, response) = self.send(Method::POST, path, None, Some(body)).await;
        if status != StatusCode::OK {
            assert_eq!(response["code"], "refresh_token_not_found");
        }
        Session::from_response(&response)
    }

    /// Refreshes the session; returns the new tokens, or `None` if GoTrue refuses for any reason, because a
    /// refresh at the same time as a logout may fail in several ways.
    pub(crate) async fn refresh_if_possible(&self, session: &Session) -> Option<Session> {
        let body = json!({"refresh_token": session.refresh_token});
        let path = "/token?grant_type=refresh_token";
        let (status, response) = self.send(Method::POST, path, None, Some(body)).await;
        (status == StatusCode::OK).then(|| Session::from_response(&response).unwrap())
    }

    /// Changes the user's password, with which GoTrue ends the user's other sessions.
    pub(crate) async fn change_password(&self, session: &Session, password: &str) {
        let body = json!({"password": password});
        let token = Some(&*session.access_token);
        let (status, response) = self.send(Method::PUT, "/user", token, Some(body)).await;
        assert_eq!(status, StatusCode::OK, "{}", response["message"]);
    }

    /// Ends the session at GoTrue without the gateway.
    pub(crate) async fn logout(&self, session: &Session) {
        let token = Some(&*session.access_token);
        let (status, _) = self.send(Method::POST, "/logout?scope=local", token, None).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        for _ in 0..TRIES {
            let mut request = self.http.request(method.clone(), format!("{}{path}", self.base));
            request = request.header("X-Supabase-Api-Version", "2024-01-01");
            if let Some(key) = &self.api_key {
                request = request.header("apikey", key);
            }
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            if let Some(body) = &body {
                request = request.header("Content-Type", "application/json").body(body.to_string());
            }
            let response = request.send().await.expect("GoTrue responds");
            let (status, headers) = (response.status(), response.headers().clone());
            let json = serde_json::from_slice(&response.bytes().await.unwrap());
            if status != StatusCode::TOO_MANY_REQUESTS {
                return (status, json.unwrap_or_default());
            }
            let seconds = headers.get("retry-after").and_then(|v| v.to_str().ok()?.parse().ok());
            tokio::time::sleep(seconds.map_or(MAX_WAIT, Duration::from_secs).min(MAX_WAIT)).await;
        }
        panic!("{path}: the project's rate limit is reached; try again later, or raise the limit");
    }
}
