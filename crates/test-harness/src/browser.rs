//! A browser signed in by @supabase/ssr: its cookies, its headers, and what a logout leaves behind.

use std::net::SocketAddr;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use gotrue_mock::Tokens;
use percent_encoding::utf8_percent_encode;
use serde_json::json;

use super::{CookieJar, Page, Reply, Request, TestApp, uri_component::URI_COMPONENT};

/// What the library writes at most into one cookie.
const CHUNK: usize = 3180;
/// How the library writes a session.
#[derive(Clone, Copy, Debug)]
pub enum CookieFormat {
    /// `base64-` and base64url: the usual one.
    Base64,
    /// Percent-encoded JSON, `cookieEncoding: "raw"`.
    Raw,
    /// `[access, refresh, …]`, of earlier versions.
    OlderArray,
    /// With so much user metadata that it takes several cookies.
    Chunked,
}

impl CookieFormat {
    pub const ALL: [Self; 4] = [Self::Base64, Self::Raw, Self::OlderArray, Self::Chunked];
}

/// The cookies of a session at the storage key `key`.
pub fn session_cookies(
    key: &str,
    access_token: &str,
    refresh_token: &str,
    form: CookieFormat,
) -> Vec<(String, String)> {
    let metadata =
        if matches!(form, CookieFormat::Chunked) { "ä".repeat(4000) } else { String::new() };
    let session = json!({
        "access_token": access_token,
        "token_type": "bearer",
        "expires_in": 3600,
        "refresh_token": refresh_token,
        "user": { "user_metadata": { "name": metadata } },
    });
    let text = match form {
        CookieFormat::Base64 | CookieFormat::Chunked => {
            format!("base64-{}", BASE64_URL_SAFE_NO_PAD.encode(session.to_string()))
        }
        CookieFormat::Raw => utf8_percent_encode(&session.to_string(), URI_COMPONENT).to_string(),
        CookieFormat::OlderArray => {
            let array = json!([access_token, refresh_token, null, null, null]).to_string();
            utf8_percent_encode(&array, URI_COMPONENT).to_string()
        }
    };
    chunks(key, &text)
}

/// `text` at `key`, in as many chunks as the library makes of it.
fn chunks(key: &str, text: &str) -> Vec<(String, String)> {
    if text.len() <= CHUNK {
        return vec![(key.to_owned(), text.to_owned())];
    }
    let pieces = text.as_bytes().chunks(CHUNK).enumerate();
    pieces.map(|(i, p)| (format!("{key}.{i}"), String::from_utf8(p.to_vec()).unwrap())).collect()
}

/// A browser at a page of the gateway's own origin.
pub struct Browser {
    /// Where its requests go: to the gateway, unless a test puts a proxy before it.
    pub address: SocketAddr,
    pub jar: CookieJar,
    pub page: Page,
    /// Sent with every request beside the cookies.
    pub headers: Vec<(String, String)>,
}

impl Browser {
    /// Signed in, and with a CSRF token as an app gets it.
    pub async fn signed_in(app: &TestApp, tokens: &Tokens, form: CookieFormat) -> Self {
        let mut browser = Self::signed_in_without_csrf(app, tokens, form);
        assert_eq!(browser.fetch_csrf().await.status, 200);
        browser
    }

    /// Signed in, before it asked for a CSRF token.
    pub fn signed_in_without_csrf(app: &TestApp, tokens: &Tokens, form: CookieFormat) -> Self {
        Self::signed_in_at(app.address, tokens, form)
    }

    /// The same at another gateway, or at what stands before it.
    pub fn signed_in_at(address: SocketAddr, tokens: &Tokens, form: CookieFormat) -> Self {
        let mut jar = CookieJar::default();
        let (access, refresh) = (&tokens.access_token, &tokens.refresh_token);
        for (name, value) in session_cookies("sb-127-auth-token", access, refresh, form) {
            jar.insert(Page::LOCAL, &name, &value);
        }
        let headers = vec![("Sec-Fetch-Site".to_owned(), "same-origin".to_owned())];
        Self { address, jar, page: Page::LOCAL, headers }
    }

    /// A request with the browser's cookies and headers.
    pub fn request(&self, method: &str, target: &str) -> Request {
        self.request_without_cookies(method, target).cookies(&self.jar.cookies_for(self.page))
    }

    /// The same with the headers alone.
    pub fn request_without_cookies(&self, method: &str, target: &str) -> Request {
        let request = Request::new(self.address, method, target);
        self.headers.iter().fold(request, |r, (name, value)| r.header(name, value))
    }

    pub async fn fetch_csrf(&mut self) -> Reply {
        let reply = self.request("GET", "/api/auth/csrf").send().await;
        self.store_cookies(&reply);
        reply
    }

    /// Keeps the cookies of a response.
    pub fn store_cookies(&mut self, reply: &Reply) {
        for line in reply.set_cookies() {
            self.jar.store_set_cookie(self.page, line);
        }
    }

    /// The CSRF cookie, as a script reads it.
    pub fn csrf_cookie(&self) -> Option<String> {
        let sent = self.jar.cookies_for(self.page);
        sent.into_iter().find(|(name, _)| name == "sb-csrf-token").map(|(_, value)| value)
    }

    /// The logout that a page's script asks for, before it is sent.
    pub fn logout_request(&self, route: &str) -> Request {
        let request = self.request("POST", route);
        match self.csrf_cookie() {
            Some(token) => request.header("X-CSRF-Token", token),
            None => request,
        }
    }

    pub async fn logout(&mut self, route: &str) -> Reply {
        let reply = self.logout_request(route).send().await;
        self.store_cookies(&reply);
        reply
    }
}
