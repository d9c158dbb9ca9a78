//! What the real GoTrue answered, and what the real @supabase/ssr wrote.

use serde::Deserialize;
use serde_json::Value;

const EXCHANGES: &str = include_str!("../../../fixtures/gotrue/exchanges.json");
const SSR_COOKIES: &str = include_str!("../../../fixtures/gotrue/ssr-cookies.json");

/// A minute after the last recorded token was issued, and before any expires, in Unix seconds.
pub const RECORDED_AT: i64 = 1_795_254_640;
/// The `iss` of recorded tokens.
pub const RECORDED_ISSUER: &str = "http://127.0.0.1:54321/auth/v1";

/// One exchange with GoTrue.
#[derive(Debug, Deserialize)]
pub struct Recording {
    pub name: String,
    pub request: RecordedRequest,
    pub response: RecordedResponse,
}

#[derive(Debug, Deserialize)]
pub struct RecordedRequest {
    headers: Value,
}

#[derive(Debug, Deserialize)]
pub struct RecordedResponse {
    pub status: u16,
    pub headers: Value,
    pub body: Value,
}

impl Recording {
    /// The access token that it was asked with.
    pub fn token(&self) -> &str {
        let authorization = self.request.headers["Authorization"].as_str().unwrap();
        authorization.strip_prefix("Bearer ").unwrap()
    }

    /// The fault that answers so, `times` times.
    pub fn as_fault(&self, operation: &str, times: Option<u32>) -> Value {
        let RecordedResponse { status, headers, body } = &self.response;
        serde_json::json!({
            "operation": operation, "kind": "status", "times": times,
            "status": status, "headers": headers, "body": body,
        })
    }
}

pub fn recording(name: &str) -> Recording {
    #[derive(Deserialize)]
    struct Exchanges {
        exchanges: Vec<Recording>,
    }
    let Exchanges { exchanges } = serde_json::from_str(EXCHANGES).unwrap();
    exchanges.into_iter().find(|recording| recording.name == name).unwrap()
}

/// A cookie jar that the library filled.
#[derive(Debug, Deserialize)]
pub struct SsrCookieJar {
    pub name: String,
    pub options: Value,
    /// As a browser sends it.
    pub cookie_header: String,
    pub session: Value,
    /// What the library's own sign-out wrote.
    pub sign_out_set_cookie: Vec<String>,
}

pub fn ssr_cookie_jars() -> Vec<SsrCookieJar> {
    #[derive(Deserialize)]
    struct Jars {
        jars: Vec<SsrCookieJar>,
    }
    serde_json::from_str::<Jars>(SSR_COOKIES).unwrap().jars
}
