//! A hook refuses the session of a request: the GoTrue mock leaves every row as it was, as GoTrue's transactions do,
//! and the same request works once the hook allows it.

#![expect(clippy::unwrap_used, reason = "a helper that panics makes its test fail, as it should")]

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::http::{Method, StatusCode};
use gotrue_mock::{AccessTokenHook, Settings, totp_code};
use serde_json::{Value, json};

use crate::harness::{CHALLENGE, MockResponse, PASSWORD, RunningMock, unconfirmed};

const EMAIL: &str = "ann@example.com";

/// A mock whose hook refuses sessions while `refuses` is set.
struct Refusing {
    mock: RunningMock,
    refuses: Arc<AtomicBool>,
}

impl Refusing {
    async fn start(settings: Settings) -> Self {
        let refuses = Arc::new(AtomicBool::new(false));
        let is_refused = Arc::clone(&refuses);
        let hook = AccessTokenHook::new("pg-functions://postgres/auth/claims", move |event| {
            let error = json!({"error": {"http_code": 403, "message": "not: now"}});
            let allowed = || json!({"claims": event["claims"]});
            Some(if is_refused.load(Ordering::SeqCst) { error } else { allowed() })
        });
        let settings = Settings { access_token_hook: Some(hook), ..settings };
        let mock = RunningMock::start_with(settings).await;
        Self { mock, refuses }
    }

    /// Sends the request while the hook refuses, and checks that no row of the user has changed.
    async fn refused(&self, request: impl AsyncFn() -> MockResponse) -> MockResponse {
        self.refuses.store(true, Ordering::SeqCst);
        let before = self.mock.mock.user_rows(EMAIL);
        let response = request().await;
        assert_eq!(self.mock.mock.user_rows(EMAIL), before, "{response:?}");
        self.refuses.store(false, Ordering::SeqCst);
        response
    }

    /// The mail that a request for a code sends.
    async fn mail(&self, body: Value) -> gotrue_mock::Mail {
        let sent = self.mock.post("/auth/v1/otp", body).await;
        assert_eq!(sent.status, StatusCode::OK, "{}", sent.body);
        self.mock.mock.mails().pop().unwrap()
    }

    async fn follow(&self, link: &str) -> MockResponse {
        self.mock.get(link.strip_prefix(self.mock.mock.url()).unwrap()).await
    }
}

#[tokio::test]
async fn a_code_stays_valid_if_a_hook_refuses_its_session() {
    let refusing = Refusing::start(unconfirmed()).await;
    let mail = refusing.mail(json!({"email": EMAIL})).await;
    let code = json!({"email": EMAIL, "token": mail.token, "type": "email"});
    let verify = async || refusing.mock.post("/auth/v1/verify", code.clone()).await;
    let refused = refusing.refused(&verify).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.header("sb-auth-session-id").is_some());
    let users = refusing.mock.get("/mock/users").await.json();
    assert!(users[0].get("email_confirmed_at").is_none(), "{users}");
    assert_eq!(verify().await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_link_leads_back_with_the_error_of_a_hook_and_stays_valid() {
    let refusing = Refusing::start(unconfirmed()).await;
    let link = refusing.mail(json!({"email": EMAIL})).await.link.unwrap();
    let follow = async || refusing.follow(&link).await;
    let refused = refusing.refused(&follow).await;
    assert_eq!(refused.status, StatusCode::SEE_OTHER);
    let expected = "http://127.0.0.1:3000\
                    #error=access_denied&error_code=&error_description=not%253A+now&sb=";
    assert_eq!(refused.location(), expected);
    assert!(refused.header("sb-auth-session-id").is_some());
    assert!(follow().await.location().contains("#access_token="));
}

#[tokio::test]
async fn a_link_of_pkce_without_its_flow_stays_valid() {
    let refusing = Refusing::start(unconfirmed()).await;
    let pkce =
        json!({"email": EMAIL, "code_challenge": CHALLENGE, "code_challenge_method": "plain"});
    let link = refusing.mail(pkce).await.link.unwrap();
    // The flow of a sign-up is not one of an invitation.
    let other = link.replace("type=signup", "type=invite");
    let rows = refusing.mock.mock.user_rows(EMAIL);
    let refused = refusing.follow(&other).await;
    assert!(refused.location().contains("error_code=flow_state_not_found"), "{refused:?}");
    assert!(refused.location().contains("found.+422%253A+No"), "{refused:?}");
    assert_eq!(refusing.mock.mock.user_rows(EMAIL), rows);
    assert!(refusing.follow(&link).await.location().contains("?code="));
}

#[tokio::test]
async fn a_code_of_pkce_stays_valid_if_a_hook_refuses_its_session() {
    let refusing = Refusing::start(unconfirmed()).await;
    let pkce =
        json!({"email": EMAIL, "code_challenge": CHALLENGE, "code_challenge_method": "plain"});
    let link = refusing.mail(pkce).await.link.unwrap();
    let back = refusing.follow(&link).await;
    let code = back.location().split("code=").nth(1).unwrap().to_owned();
    let exchange = async || {
        let grant = json!({"auth_code": code, "code_verifier": CHALLENGE});
        refusing.mock.post("/auth/v1/token?grant_type=pkce", grant).await
    };
    assert_eq!(refusing.refused(&exchange).await.status, StatusCode::FORBIDDEN);
    assert_eq!(exchange().await.status, StatusCode::OK);
    assert_eq!(exchange().await.code(), "flow_state_not_found");
}

#[tokio::test]
async fn a_refresh_token_stays_valid_if_a_hook_refuses_the_refresh() {
    let refusing = Refusing::start(Settings::default()).await;
    let user = refusing.mock.mock.create_user(EMAIL, PASSWORD);
    let session = refusing.mock.mock.sign_in(user).unwrap();
    let refresh = async || refusing.mock.refresh(&session.refresh_token).await;
    let refused = refusing.refused(&refresh).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert_eq!(refused.header("sb-auth-user-id"), Some(&*user.to_string()));
    assert_eq!(refused.header("sb-auth-session-id"), Some(&*session.session_id.to_string()));
    assert_eq!(refused.header("sb-auth-refresh-token-prefix").map(str::len), Some(5));
    assert_eq!(refused.header("sb-auth-refresh-token-reuse"), Some("false"));
    assert_eq!(refresh().await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_challenge_stays_valid_if_a_hook_refuses_the_session_at_aal2() {
    let refusing = Refusing::start(Settings::default()).await;
    let user = refusing.mock.mock.create_user(EMAIL, PASSWORD);
    let session = refusing.mock.mock.sign_in(user).unwrap();
    refusing.mock.mock.sign_in(user).unwrap();
    let send = async |path: &str, body: Value| {
        let path = format!("/auth/v1/factors{path}");
        let token = &session.access_token;
        refusing.mock.send_with_token(Method::POST, &path, token, Some(body)).await
    };
    let factor = send("", json!({"factor_type": "totp"})).await.json();
    let (id, secret) = (factor["id"].as_str().unwrap(), &factor["totp"]["secret"]);
    let challenge = send(&format!("/{id}/challenge"), json!({})).await.json();
    let code = totp_code(secret.as_str().unwrap(), refusing.mock.mock.now()).unwrap();
    let verify = async || {
        let body = json!({"challenge_id": challenge["id"], "code": code});
        send(&format!("/{id}/verify"), body).await
    };
    assert_eq!(refusing.refused(&verify).await.status, StatusCode::FORBIDDEN);
    let users = refusing.mock.get("/mock/users").await.json();
    assert_eq!(users[0]["factors"][0]["status"], "unverified");
    assert_eq!(verify().await.status, StatusCode::OK);
    assert_eq!(refusing.mock.mock.sessions_of(user), 1);
}

#[tokio::test]
async fn a_sign_in_at_a_provider_creates_no_user_if_a_hook_refuses_the_session() {
    let refusing = Refusing::start(Settings::default()).await;
    let path = format!("/auth/v1/authorize?provider=google&user={EMAIL}");
    let callback = refusing.mock.get(&path).await.location().to_owned();
    let arrive = async || refusing.follow(&callback).await;
    let refused = refusing.refused(&arrive).await;
    let expected = "http://127.0.0.1:3000?error=server_error&error_description=403%3A+not%3A+now\
                    #error=server_error&error_description=403%253A+not%253A+now&sb=";
    assert_eq!(refused.location(), expected);
    assert!(refused.header("sb-auth-session-id").is_some());
    assert_eq!(refusing.mock.mock.find_user_id(EMAIL), None);
    assert!(arrive().await.location().contains("#access_token="));
}

#[tokio::test]
async fn an_anonymous_user_does_not_exist_if_a_hook_refuses_the_session() {
    let refusing = Refusing::start(Settings::default()).await;
    let sign_up = async || refusing.mock.post("/auth/v1/signup", json!({})).await;
    let refused = refusing.refused(&sign_up).await;
    assert_eq!(refused.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(refused.json()["msg"], "Database error creating anonymous user");
    assert_eq!(refusing.mock.get("/mock/users").await.json(), json!([]));
    assert_eq!(sign_up().await.status, StatusCode::OK);
}
