//! The requests of a page whose cookie jar may hold several sessions, and other cookies beside them.

use gotrue_mock::Tokens;

use crate::{CookieFormat, Reply, TestApp, session_cookies};

/// The key of the session cookies of the project at `http://127.0.0.1`.
pub const K: &str = "sb-127-auth-token";
const CSRF: &str = "sb-csrf-token";

/// Names and values in the order of the request.
pub type Cookies = Vec<(String, String)>;

/// The cookies of a session with these tokens.
pub fn stored(access_token: &str, refresh_token: &str) -> Cookies {
    session_cookies(K, access_token, refresh_token, CookieFormat::Base64)
}

/// The cookies of this session.
pub fn session(tokens: &Tokens) -> Cookies {
    stored(&tokens.access_token, &tokens.refresh_token)
}

/// These cookies, and the cookie of a CSRF token.
pub fn with_csrf(jar: &Cookies, csrf: &str) -> Cookies {
    let mut jar = jar.clone();
    jar.push((CSRF.to_owned(), csrf.to_owned()));
    jar
}

/// Fetches the CSRF token for these cookies.
pub async fn fetch_csrf(app: &TestApp, jar: &Cookies) -> String {
    let reply = app.get("/api/auth/csrf").cookies(jar).send().await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()["data"]["csrf_token"].as_str().unwrap().to_owned()
}

/// Fetches the CSRF token for these cookies and logs out with it, as a page does.
pub async fn log_out(app: &TestApp, target: &str, jar: &Cookies) -> Reply {
    let csrf = fetch_csrf(app, jar).await;
    app.post(target).cookies(&with_csrf(jar, &csrf)).header("X-CSRF-Token", csrf).send().await
}
