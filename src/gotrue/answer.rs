//! Interprets GoTrue's answers: what a status and an error code mean for each operation. Tested with
//! recordings of both API versions.

mod beginning;

use std::time::SystemTime;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;
use tokio::time::timeout_at;
use uuid::Uuid;

use super::{
    Deadline, Refreshed, Refusal, RetryAfter,
    log::{self, RequestLabel},
};
use crate::{
    operation::gotrue::{Operation, TryResult},
    outcome::Scope,
};

/// The most octets of a response body that are kept.
pub const MAX_BODY_LENGTH: usize = 64 * 1024;

const EMPTY_KEY_SET: &[u8] = br#"{"keys":[]}"#;

/// GoTrue's codes for a refresh token that it does not accept. None of them proves that the session is gone
/// (recordings `refresh-already-used`, `refresh-after-logout`).
const REFUSED_REFRESH_TOKEN: [&str; 7] = [
    "refresh_token_not_found",
    "refresh_token_already_used",
    "session_expired",
    "session_not_found",
    "user_not_found",
    "validation_failed",
    "bad_json",
];

/// An answer of GoTrue, with the part of its body that the gateway needs.
#[derive(Debug)]
pub struct Answer {
    pub(super) operation: Operation,
    /// The id of the client's request, for log lines; `None` for the key set.
    pub(super) request_id: Option<HeaderValue>,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// Whether the connection broke before the end of the body.
    pub(super) is_cut_off: bool,
    /// Whether an earlier try of the same request got no answer and may have had its effect at GoTrue.
    pub earlier_try_unknown: bool,
}

impl Answer {
    /// Reads the response to `operation`, with up to 64 KiB of its body if the body matters.
    pub async fn read(
        operation: Operation,
        request_id: Option<HeaderValue>,
        mut response: reqwest::Response,
        deadline: Deadline,
    ) -> Self {
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        // Do not wait for a body that is not needed, because it may never end.
        let body_matters = match status {
            StatusCode::OK => operation != Operation::Logout,
            _ => {
                status.as_u16() >= 400
                    && !is_passing(status)
                    && Self::code_header(&headers).is_none()
            }
        };
        // For 429 and 5xx the body is only logged: do not let a slow body turn a known status into a timeout.
        let body_is_only_logged =
            status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
        let (body, is_cut_off) = match (body_matters, body_is_only_logged) {
            (false, _) => Default::default(),
            (true, false) => read_beginning(response).await,
            (true, true) => {
                timeout_at(deadline, read_beginning(response)).await.unwrap_or_default()
            }
        };
        Self {
            operation,
            request_id,
            status,
            headers,
            body,
            is_cut_off,
            earlier_try_unknown: false,
        }
    }

    /// The result of this try, for the label `result` of the metrics.
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

    /// Whether the status says that a further try may succeed.
    pub(super) fn is_passing(&self) -> bool {
        is_passing(self.status)
    }

    /// Whether a logout revoked the sessions that `scope` names: GoTrue answered 204, or the session is gone
    /// after a try without an answer.
    ///
    /// # Errors
    /// GoTrue's refusal.
    pub fn revoked(&self, scope: Scope) -> Result<(), Refusal> {
        match self.status {
            StatusCode::NO_CONTENT => Ok(()),
            _ => match self.refusal() {
                // An earlier try of `others` cannot be the cause: it does not end this session.
                Refusal::SessionNotFound if self.earlier_try_unknown && scope != Scope::Others => {
                    Ok(())
                }
                refusal => Err(refusal),
            },
        }
    }

    /// The new access token of a refresh. It is used even if the rest of the body is missing, because GoTrue
    /// has already used up the refresh token.
    ///
    /// # Errors
    /// GoTrue's refusal.
    pub fn refreshed(&self) -> Result<Refreshed, Refusal> {
        match beginning::member(&self.body, "access_token") {
            Some(access_token) if self.status == StatusCode::OK => Ok(Refreshed { access_token }),
            _ if self.status == StatusCode::OK && self.is_cut_off => Err(Refusal::NoAnswer),
            _ => Err(self.refusal()),
        }
    }

    /// Whether GoTrue accepted the access token of `user` that the request carried, so that its session
    /// lives.
    ///
    /// # Errors
    /// GoTrue's refusal.
    pub fn live(&self, user: Uuid) -> Result<(), Refusal> {
        match self.status {
            // The status alone proves nothing: a captive portal answers 200 to every request.
            StatusCode::OK if beginning::member(&self.body, "id") == Some(user) => Ok(()),
            _ => Err(self.refusal()),
        }
    }

    /// The body of the key set. If `missing_is_empty`, a 404 counts as an empty key set.
    ///
    /// # Errors
    /// The refusal that any other status means.
    pub fn into_key_set(self, missing_is_empty: bool) -> Result<Vec<u8>, Refusal> {
        match self.status {
            StatusCode::OK => Ok(self.body),
            StatusCode::NOT_FOUND if missing_is_empty => Ok(EMPTY_KEY_SET.to_vec()),
            _ => Err(self.refusal()),
        }
    }

    /// The issuer that GoTrue publishes; `None` if it publishes none. Older releases have no such document.
    pub(super) fn into_issuer(self) -> Result<Option<String>, Refusal> {
        #[derive(Deserialize)]
        struct Document {
            issuer: Option<String>,
        }
        match self.status {
            // Another server, such as a captive portal, may answer 200 too. So only a valid document means that
            // GoTrue publishes no issuer.
            StatusCode::OK => match serde_json::from_slice::<Document>(&self.body) {
                Ok(document) => Ok(document.issuer.filter(|issuer| !issuer.is_empty())),
                Err(_) => Err(Refusal::Unexpected),
            },
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(self.refusal()),
        }
    }

    /// The error code in the header `x-sb-error-code`. If the answer has this header, the body is not needed.
    fn code_header(headers: &HeaderMap) -> Option<&str> {
        headers.get("x-sb-error-code")?.to_str().ok().filter(|code| !code.is_empty())
    }

    pub(super) fn date(&self) -> Option<SystemTime> {
        httpdate::parse_http_date(self.headers.get(header::DATE)?.to_str().ok()?).ok()
    }

    /// The error code of the header, or else of the body. In the older API version, the body's `error_code`
    /// is the error code and `code` is a number.
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

    /// The refusal in an answer that is not a success. A refusal that an operator can act on is logged.
    fn refusal(&self) -> Refusal {
        let code = self.code();
        // GoTrue sends its codes with a 4xx. A code with another status does not come from a healthy GoTrue.
        let code_of_4xx = code.as_deref().filter(|_| self.status.is_client_error());
        let refusal = self.meaning(code_of_4xx);
        let label = RequestLabel::new(self.request_id.as_ref(), self.operation);
        log::refused(label, self.status.as_u16(), code.as_deref(), &refusal);
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

    /// The value of `Retry-After`, if it is valid (RFC 9110, section 10.2.3).
    fn retry_after(&self) -> Option<RetryAfter> {
        self.headers.get(header::RETRY_AFTER).and_then(RetryAfter::parse)
    }
}

/// Whether the status is 502, 503 or 504: a proxy in front of GoTrue cannot reach GoTrue at present.
fn is_passing(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
    )
}

/// Up to [`MAX_BODY_LENGTH`] octets of the body, and whether the connection broke before its end.
async fn read_beginning(mut response: reqwest::Response) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                let room = MAX_BODY_LENGTH - body.len();
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
