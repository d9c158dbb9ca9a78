//! A browser in which @supabase/ssr has stored a session: its cookies and its headers.

use std::net::SocketAddr;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use gotrue_mock::Tokens;
use percent_encoding::utf8_percent_encode;
use serde_json::json;

use super::{CookieJar, Page, Reply, Request, TestApp, uri_component::URI_COMPONENT};

/// The most characters that @supabase/ssr writes into one cookie.
const CHUNK: usize = 3180;
/// How @supabase/ssr writes a session into cookies.
#[derive(Clone, Copy, Debug)]
pub enum CookieFormat {
    /// `base64-` followed by the session's JSON in base64url: the default of @supabase/ssr.
    Base64,
    /// The session as percent-encoded JSON, which `cookieEncoding: "raw"` selects.
    Raw,
    /// A JSON array `[access, refresh, …]`, as earlier versions of @supabase/ssr wrote it.
    OlderArray,
    /// Like `Base64`, but with so much user metadata that the session needs several cookies.
    Chunked,
}

impl CookieFormat {
    pub const ALL: [Self; 4] = [Self::Base64, Self::Raw, Self::OlderArray, Self::Chunked];
}

/// The names and values of the cookies for a session under the storage key `key`.
pub fn session_cookies(
    key: &str,
    access_token: &str,
    refresh_token: &str,
    format: CookieFormat,
) -> Vec<(String, String)> {
    let metadata =
        if matches!(format, CookieFormat::Chunked) { "ä".repeat(4000) } else { String::new() };
    let session = json!({
        "access_token": access_token,
        "token_type": "bearer",
        "expires_in": 3600,
        "refresh_token": refresh_token,
        "user": { "user_metadata": { "name": metadata } },
    });
    let text = match format {
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

/// Splits `text` into cookies of at most [`CHUNK`] characters, as @supabase/ssr does.
fn chunks(key: &str, text: &str) -> Vec<(String, String)> {
    if text.len() <= CHUNK {
        return vec![(key.to_owned(), text.to_owned())];
    }
    let pieces = text.as_bytes().chunks(CHUNK).enumerate();
    pieces.map(|(i, p)| (format!("{key}.{i}"), String::from_utf8(p.to_vec()).unwrap())).collect()
}

/// A browser with a page of the gateway's own origin.
pub struct Browser {
    /// The address of the gateway, or of a proxy in front of it.
    pub address: SocketAddr,
    pub jar: CookieJar,
    pub page: Page,
    /// The headers that every request has, besides `Cookie`.
    pub headers: Vec<(String, String)>,
}

impl Browser {
    /// Makes a browser that has the cookies of the session and has fetched a CSRF token.
    pub async fn signed_in(app: &TestApp, tokens: &Tokens, format: CookieFormat) -> Self {
        let mut browser = Self::signed_in_without_csrf(app, tokens, format);
        assert_eq!(browser.fetch_csrf().await.status, 200);
        browser
    }

    /// Makes a browser that has the cookies of the session but has not fetched a CSRF token.
    pub fn signed_in_without_csrf(app: &TestApp, tokens: &Tokens, format: CookieFormat) -> Self {
        Self::signed_in_at(app.address, tokens, format)
    }

    /// Like [`Self::signed_in_without_csrf`], at the address of another gateway or of a proxy in front of
    /// one.
    pub fn signed_in_at(address: SocketAddr, tokens: &Tokens, format: CookieFormat) -> Self {
        let mut jar = CookieJar::default();
        let (access, refresh) = (&tokens.access_token, &tokens.refresh_token);
        for (name, value) in session_cookies("sb-127-auth-token", access, refresh, format) {
            jar.insert(Page::LOCAL, &name, &value);
        }
        let headers = vec![("Sec-Fetch-Site".to_owned(), "same-origin".to_owned())];
        Self { address, jar, page: Page::LOCAL, headers }
    }

    /// A request with the browser's cookies and with [`Self::headers`].
    pub fn request(&self, method: &str, target: &str) -> Request {
        self.request_without_cookies(method, target).cookies(&self.jar.cookies_for(self.page))
    }

    /// A request with [`Self::headers`], but without the browser's cookies.
    pub fn request_without_cookies(&self, method: &str, target: &str) -> Request {
        let request = Request::new(self.address, method, target);
        self.headers.iter().fold(request, |r, (name, value)| r.header(name, value))
    }

    /// Fetches a CSRF token and stores its cookie.
    pub async fn fetch_csrf(&mut self) -> Reply {
        let reply = self.request("GET", "/api/auth/csrf").send().await;
        self.store_cookies(&reply);
        reply
    }

    /// Stores or deletes cookies as the `Set-Cookie` lines of the response require.
    pub fn store_cookies(&mut self, reply: &Reply) {
        for line in reply.set_cookies() {
            self.jar.store_set_cookie(self.page, line);
        }
    }

    /// The value of the cookie `sb-csrf-token`, which scripts can read; `None` if the browser has none.
    pub fn csrf_cookie(&self) -> Option<String> {
        let sent = self.jar.cookies_for(self.page);
        sent.into_iter().find(|(name, _)| name == "sb-csrf-token").map(|(_, value)| value)
    }

    /// The logout request that a script sends, with the CSRF cookie's value in `X-CSRF-Token`.
    pub fn logout_request(&self, route: &str) -> Request {
        let request = self.request("POST", route);
        match self.csrf_cookie() {
            Some(token) => request.header("X-CSRF-Token", token),
            None => request,
        }
    }

    /// Sends [`Self::logout_request`] and stores the cookies of the response.
    pub async fn logout(&mut self, route: &str) -> Reply {
        let reply = self.logout_request(route).send().await;
        self.store_cookies(&reply);
        reply
    }
}
