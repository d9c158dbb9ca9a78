//! The recordings of `fixtures/gotrue`: responses of the real GoTrue, and cookies of the real @supabase/ssr.

use serde::Deserialize;
use serde_json::Value;

const EXCHANGES: &str = include_str!("../../../fixtures/gotrue/exchanges.json");
const SSR_COOKIES: &str = include_str!("../../../fixtures/gotrue/ssr-cookies.json");

/// A time for the test clock, in seconds since the Unix epoch: a minute after the last recorded token was
/// issued, and before any of them expires.
pub const RECORDED_AT: i64 = 1_795_254_640;
/// The `iss` claim of all recorded tokens.
pub const RECORDED_ISSUER: &str = "http://127.0.0.1:54321/auth/v1";

/// A recorded request to the real GoTrue, with its response.
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
    /// The access token in the request's `Authorization` header.
    pub fn token(&self) -> &str {
        let authorization = self.request.headers["Authorization"].as_str().unwrap();
        authorization.strip_prefix("Bearer ").unwrap()
    }

    /// A fault that makes the mock give the recorded response to `operation`, `times` times or, with `None`,
    /// always.
    pub fn as_fault(&self, operation: &str, times: Option<u32>) -> Value {
        let RecordedResponse { status, headers, body } = &self.response;
        serde_json::json!({
            "operation": operation, "kind": "status", "times": times,
            "status": status, "headers": headers, "body": body,
        })
    }
}

/// The recording with the name `name` in `exchanges.json`; panics if there is none.
pub fn recording(name: &str) -> Recording {
    #[derive(Deserialize)]
    struct Exchanges {
        exchanges: Vec<Recording>,
    }
    let Exchanges { exchanges } = serde_json::from_str(EXCHANGES).unwrap();
    exchanges.into_iter().find(|recording| recording.name == name).unwrap()
}

/// The cookies that the real @supabase/ssr wrote for one session.
#[derive(Debug, Deserialize)]
pub struct SsrCookieJar {
    pub name: String,
    pub options: Value,
    /// The `Cookie` header that a browser sends with the cookies of this session.
    pub cookie_header: String,
    pub session: Value,
    /// The `Set-Cookie` lines that @supabase/ssr wrote when it signed out itself.
    pub sign_out_set_cookie: Vec<String>,
}

pub fn ssr_cookie_jars() -> Vec<SsrCookieJar> {
    #[derive(Deserialize)]
    struct Jars {
        jars: Vec<SsrCookieJar>,
    }
    serde_json::from_str::<Jars>(SSR_COOKIES).unwrap().jars
}
