//! What an answer of GoTrue means, held against the recordings of both API versions.

mod beginning;

use std::time::SystemTime;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;
use tokio::time::timeout_at;
use uuid::Uuid;

use super::{
    Deadline, Operation, Refreshed, Refusal, RetryAfter, TryResult,
    log::{self, RequestLabel},
};
use crate::logout::outcome::Scope;

/// No more of an answer's body is kept.
pub const LARGEST_ANSWER: usize = 64 * 1024;

const EMPTY_KEY_SET: &[u8] = br#"{"keys":[]}"#;

/// GoTrue's codes for a refresh token that it gives no access token for. None of them proves that the
/// session is gone (recordings `refresh-already-used`, `refresh-after-logout`).
const REFUSED_REFRESH_TOKEN: [&str; 7] = [
    "refresh_token_not_found",
    "refresh_token_already_used",
    "session_expired",
    "session_not_found",
    "user_not_found",
    "validation_failed",
    "bad_json",
];

/// An answer as it came, as far as it tells something.
#[derive(Debug)]
pub struct Answer {
    pub(super) operation: Operation,
    /// Of the request that was passed on, to tell its log lines; the key set has none.
    pub(super) request_id: Option<HeaderValue>,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// The connection broke in the middle of the body.
    pub(super) cut_off: bool,
    /// An earlier try may have had its effect without our hearing of it.
    pub earlier_try_unknown: bool,
}

impl Answer {
    /// Reads the response to `operation`, up to 64 KiB of its body, and the body only where it tells
    /// something.
    pub async fn read(
        operation: Operation,
        request_id: Option<HeaderValue>,
        mut response: reqwest::Response,
        deadline: Deadline,
    ) -> Self {
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        // A body that decides nothing is not waited for: it may never end.
        let telling = match status {
            StatusCode::OK => operation != Operation::Logout,
            _ => {
                status.as_u16() >= 400
                    && !is_passing(status)
                    && Self::code_header(&headers).is_none()
            }
        };
        // Of these it tells the log alone: what is late shall not make a timeout of a known answer.
        let decided = status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
        let (body, cut_off) = match (telling, decided) {
            (false, _) => Default::default(),
            (true, false) => read_beginning(response).await,
            (true, true) => {
                timeout_at(deadline, read_beginning(response)).await.unwrap_or_default()
            }
        };
        Self { operation, request_id, status, headers, body, cut_off, earlier_try_unknown: false }
    }

    /// The result of the try, for the metrics and the trace.
    pub(super) fn result(&self) -> TryResult {
        let success = match self.operation {
            Operation::Logout => StatusCode::NO_CONTENT,
            _ => StatusCode::OK,
        };
        match self.status {
            status if status == success => TryResult::Ok,
            StatusCode::TOO_MANY_REQUESTS => TryResult::RateLimited,
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE => TryResult::Unavailable,
            StatusCode::GATEWAY_TIMEOUT => TryResult::Timeout,
            status if status.is_client_error() => TryResult::Refused,
            _ => TryResult::Error,
        }
    }

    /// Whether it says that another try may help.
    pub(super) fn is_passing(&self) -> bool {
        is_passing(self.status)
    }

    /// Whether a logout revoked what `scope` names. Only 204 says so itself.
    ///
    /// # Errors
    /// Why not.
    pub fn revoked(&self, scope: Scope) -> Result<(), Refusal> {
        match self.status {
            StatusCode::NO_CONTENT => Ok(()),
            _ => match self.refusal() {
                // Not so with `others`, which leaves this session alone in any case.
                Refusal::SessionNotFound if self.earlier_try_unknown && scope != Scope::Others => {
                    Ok(())
                }
                refusal => Err(refusal),
            },
        }
    }

    /// The fresh access token of a refresh. It counts wherever it is whole: GoTrue has exchanged the refresh
    /// token, which works only once.
    ///
    /// # Errors
    /// Why there are none.
    pub fn refreshed(&self) -> Result<Refreshed, Refusal> {
        match beginning::member(&self.body, "access_token") {
            Some(access_token) if self.status == StatusCode::OK => Ok(Refreshed { access_token }),
            _ if self.status == StatusCode::OK && self.cut_off => Err(Refusal::NoAnswer),
            _ => Err(self.refusal()),
        }
    }

    /// Whether the session of a token of `user` lives.
    ///
    /// # Errors
    /// Why not.
    pub fn live(&self, user: Uuid) -> Result<(), Refusal> {
        match self.status {
            // Anybody answers 200: a captive portal, a page that stands for every path.
            StatusCode::OK if beginning::member(&self.body, "id") == Some(user) => Ok(()),
            _ => Err(self.refusal()),
        }
    }

    /// The body of the key set; that of an empty one for a 404, if `missing_is_empty`.
    ///
    /// # Errors
    /// Why there is none.
    pub fn into_key_set(self, missing_is_empty: bool) -> Result<Vec<u8>, Refusal> {
        match self.status {
            StatusCode::OK => Ok(self.body),
            StatusCode::NOT_FOUND if missing_is_empty => Ok(EMPTY_KEY_SET.to_vec()),
            _ => Err(self.refusal()),
        }
    }

    /// `x-sb-error-code`; where it is present the body adds nothing.
    fn code_header(headers: &HeaderMap) -> Option<&str> {
        headers.get("x-sb-error-code")?.to_str().ok().filter(|code| !code.is_empty())
    }

    pub(super) fn date(&self) -> Option<SystemTime> {
        httpdate::parse_http_date(self.headers.get(header::DATE)?.to_str().ok()?).ok()
    }

    /// The error code, from the header, else from the body: `error_code` of the older API version
    /// stands beside a numeric `code`.
    fn code(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Body {
            error_code: Option<serde_json::Value>,
            code: Option<serde_json::Value>,
        }
        if let Some(code) = Self::code_header(&self.headers) {
            return Some(code.to_owned());
        }
        let Body { error_code, code } = serde_json::from_slice(&self.body).ok()?;
        [error_code, code].into_iter().flatten().find_map(|v| v.as_str().map(str::to_owned))
    }

    /// What this answer, known not to be a success, means; logged where an operator can do something
    /// about it.
    fn refusal(&self) -> Refusal {
        let code = self.code();
        // GoTrue says why with a 4xx; with anything else somebody speaks who is not well.
        let believed = code.as_deref().filter(|_| self.status.is_client_error());
        let refusal = self.meaning(believed);
        let asked = RequestLabel::new(self.request_id.as_ref(), self.operation);
        log::refused(asked, self.status.as_u16(), code.as_deref(), &refusal);
        refusal
    }

    fn meaning(&self, code: Option<&str>) -> Refusal {
        use Operation::{Logout, Token, User};
        match (self.operation, code) {
            (Logout | User, Some("session_not_found")) => Refusal::SessionNotFound,
            (Logout | User, Some("user_not_found")) => Refusal::UserNotFound,
            (Logout | User | Token, Some("user_banned")) => Refusal::UserBanned,
            (Logout | User, Some("bad_jwt")) => Refusal::BadJwt,
            (Token, Some(code)) if REFUSED_REFRESH_TOKEN.contains(&code) => {
                Refusal::RefreshTokenRefused
            }
            _ => match self.status {
                StatusCode::TOO_MANY_REQUESTS => {
                    Refusal::RateLimited { retry_after: self.retry_after() }
                }
                StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE => {
                    Refusal::Unavailable { retry_after: self.retry_after() }
                }
                StatusCode::GATEWAY_TIMEOUT => Refusal::GatewayTimeout,
                status if status.is_server_error() => Refusal::Failed,
                _ => Refusal::Unexpected,
            },
        }
    }

    fn retry_after(&self) -> Option<RetryAfter> {
        self.headers.get(header::RETRY_AFTER).and_then(RetryAfter::parse)
    }
}

/// 502, 503 and 504: who stands in between does not reach GoTrue now.
fn is_passing(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
    )
}

/// Up to 64 KiB of the body, and whether the connection broke before its end.
async fn read_beginning(mut response: reqwest::Response) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                let room = LARGEST_ANSWER - body.len();
                body.extend(chunk.iter().take(room));
                if chunk.len() >= room {
                    return (body, false);
                }
            }
            Ok(None) => return (body, false),
            Err(_) => return (body, true),
        }
    }
}
