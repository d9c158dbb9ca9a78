//! GoTrue as any app uses it.

use std::time::Duration;

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

/// How often, and how long at most, a rate limit is waited for.
const TRIES: usize = 4;
const PATIENCE: Duration = Duration::from_mins(1);

/// A session as a sign-in answers it.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) user_id: Uuid,
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
    /// Seconds.
    pub(crate) expires_in: i64,
}

impl Session {
    /// `None` where the answer shows no session.
    fn of(answer: &Value) -> Option<Self> {
        let word = |value: &Value| value.as_str().map(str::to_owned);
        Some(Self {
            user_id: answer["user"]["id"].as_str()?.parse().ok()?,
            access_token: word(&answer["access_token"])?,
            refresh_token: word(&answer["refresh_token"])?,
            expires_in: answer["expires_in"].as_i64()?,
        })
    }
}

/// GoTrue at its base.
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

    /// A new user's first session.
    pub(crate) async fn sign_up(&self, email: &str, password: &str) -> Session {
        let body = json!({"email": email, "password": password});
        let (status, answer) = self.ask(Method::POST, "/signup", None, Some(body)).await;
        assert_eq!(status, StatusCode::OK, "{email} could not sign up: {}", answer["msg"]);
        Session::of(&answer).expect("a session: the project must not ask to confirm addresses")
    }

    /// One more session.
    pub(crate) async fn sign_in(&self, email: &str, password: &str) -> Session {
        let body = json!({"email": email, "password": password});
        let path = "/token?grant_type=password";
        let (status, answer) = self.ask(Method::POST, path, None, Some(body)).await;
        assert_eq!(status, StatusCode::OK, "{email} could not sign in");
        Session::of(&answer).unwrap()
    }

    /// Whether the session's access token is taken; that of an ended session is refused as such.
    pub(crate) async fn alive(&self, session: &Session) -> bool {
        let token = Some(&*session.access_token);
        let (status, answer) = self.ask(Method::GET, "/user", token, None).await;
        if status != StatusCode::OK {
            assert_eq!(
                (status, &answer["code"]),
                (StatusCode::FORBIDDEN, &json!("session_not_found"))
            );
        }
        status == StatusCode::OK
    }

    /// The refreshed session, unless GoTrue has forgotten it.
    pub(crate) async fn refresh(&self, session: &Session) -> Option<Session> {
        let body = json!({"refresh_token": session.refresh_token});
        let path = "/token?grant_type=refresh_token";
        let (status, answer) = self.ask(Method::POST, path, None, Some(body)).await;
        if status != StatusCode::OK {
            assert_eq!(answer["code"], "refresh_token_not_found");
        }
        Session::of(&answer)
    }

    /// The refreshed session, unless GoTrue refuses for whatever reason: a refresh and a logout that
    /// meet in the database may fail in more than one way.
    pub(crate) async fn refresh_if_possible(&self, session: &Session) -> Option<Session> {
        let body = json!({"refresh_token": session.refresh_token});
        let path = "/token?grant_type=refresh_token";
        let (status, answer) = self.ask(Method::POST, path, None, Some(body)).await;
        (status == StatusCode::OK).then(|| Session::of(&answer).unwrap())
    }

    /// Gives the user another password, which ends the user's other sessions.
    pub(crate) async fn change_password(&self, session: &Session, password: &str) {
        let body = json!({"password": password});
        let token = Some(&*session.access_token);
        let (status, answer) = self.ask(Method::PUT, "/user", token, Some(body)).await;
        assert_eq!(status, StatusCode::OK, "{}", answer["message"]);
    }

    /// Ends this session without the gateway.
    pub(crate) async fn logout(&self, session: &Session) {
        let token = Some(&*session.access_token);
        let (status, _) = self.ask(Method::POST, "/logout?scope=local", token, None).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
    }

    async fn ask(
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
            let response = request.send().await.expect("GoTrue answers");
            let (status, headers) = (response.status(), response.headers().clone());
            let answer = serde_json::from_slice(&response.bytes().await.unwrap());
            if status != StatusCode::TOO_MANY_REQUESTS {
                return (status, answer.unwrap_or_default());
            }
            let seconds = headers.get("retry-after").and_then(|v| v.to_str().ok()?.parse().ok());
            tokio::time::sleep(seconds.map_or(PATIENCE, Duration::from_secs).min(PATIENCE)).await;
        }
        panic!("{path}: the project's rate limit is reached: try again later, or raise it");
    }
}
