//! What an answer of GoTrue means, held against the recordings of both API versions.

use std::{borrow::Cow, fmt, time::SystemTime};

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use uuid::Uuid;

use super::Refusal;

/// What GoTrue was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Logout,
    Token,
    User,
    Jwks,
    Health,
}

impl Operation {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::Token => "token",
            Self::User => "user",
            Self::Jwks => "jwks",
            Self::Health => "health",
        }
    }
}

/// An answer as it came, its body cut off at 64 KiB.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) operation: Operation,
    /// Of the request that was passed on, to tell its log lines; the key set has none.
    pub(super) request_id: Option<HeaderValue>,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// An earlier try may have had its effect without our hearing of it.
    pub(super) earlier_try_unknown: bool,
}

impl Answer {
    /// `x-sb-error-code`; where it is present the body adds nothing.
    pub(super) fn code_header(headers: &HeaderMap) -> Option<&str> {
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

    /// The `id` of the user that the body shows. GoTrue writes it first (recording `user`), and large
    /// metadata behind it may have been cut off.
    pub(super) fn user_id(&self) -> Option<Uuid> {
        let mut id = None;
        // That the rest is cut off is an error, and none of ours.
        let _ = serde_json::Deserializer::from_slice(&self.body).deserialize_map(UserId(&mut id));
        id
    }

    /// What this answer, known not to be a success, means; logged where an operator can do something
    /// about it.
    pub(super) fn refusal(&self) -> Refusal {
        let code = self.code();
        // GoTrue says why with a 4xx; with anything else somebody speaks who is not well.
        let believed = code.as_deref().filter(|_| self.status.is_client_error());
        let refusal = self.meaning(believed);
        let request_id = printed(self.request_id.as_ref());
        let (operation, status) = (self.operation.as_str(), self.status.as_u16());
        match refusal {
            Refusal::Unexpected if matches!(status, 401 | 403) => tracing::warn!(
                request_id,
                operation,
                status,
                code = printable(code.as_deref()),
                "GoTrue refused the gateway itself: check SUPABASE_PUBLISHABLE_KEY or SUPABASE_ANON_KEY, and GOTRUE_URL"
            ),
            Refusal::Unexpected if status < 400 => tracing::warn!(
                request_id,
                operation,
                status,
                "this is not how GoTrue answers: check that GOTRUE_URL leads to it and not to another server"
            ),
            Refusal::Unexpected
            | Refusal::Unavailable
            | Refusal::Timeout
            | Refusal::RateLimited { .. } => {
                tracing::warn!(request_id, operation, status, code = printable(code.as_deref()), cause = %refusal, "GoTrue failed");
            }
            _ => {}
        }
        refusal
    }

    fn meaning(&self, code: Option<&str>) -> Refusal {
        use Operation::{Logout, Token, User};
        match (self.operation, code) {
            (Logout | User | Token, Some("session_not_found"))
            | (Token, Some("refresh_token_not_found" | "session_expired")) => {
                Refusal::SessionNotFound
            }
            (Logout | User | Token, Some("user_not_found")) => Refusal::UserNotFound,
            (Logout | User | Token, Some("user_banned")) => Refusal::UserBanned,
            (Logout | User, Some("bad_jwt")) => Refusal::BadJwt,
            (Token, Some("validation_failed" | "bad_json")) => Refusal::BadRefreshToken,
            _ => match self.status {
                StatusCode::TOO_MANY_REQUESTS => {
                    Refusal::RateLimited { retry_after: self.retry_after() }
                }
                StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE => Refusal::Unavailable,
                StatusCode::GATEWAY_TIMEOUT => Refusal::Timeout,
                _ => Refusal::Unexpected,
            },
        }
    }

    /// Passed on only where it is what RFC 9110 allows, section 10.2.3.
    fn retry_after(&self) -> Option<HeaderValue> {
        let value = self.headers.get(header::RETRY_AFTER)?;
        let text = value.to_str().ok()?;
        let seconds =
            text.len() <= 10 && text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty();
        (seconds || httpdate::parse_http_date(text).is_ok()).then(|| value.clone())
    }
}

/// Notes the `id` as soon as it is read.
struct UserId<'a>(&'a mut Option<Uuid>);

impl<'de> Visitor<'de> for UserId<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a user")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut user: A) -> Result<(), A::Error> {
        while let Some(name) = user.next_key::<Cow<'_, str>>()? {
            if name == "id" {
                *self.0 = Some(user.next_value()?);
            } else {
                user.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// A request id, for a log line.
pub(super) fn printed(request_id: Option<&HeaderValue>) -> Option<&str> {
    request_id.and_then(|id| id.to_str().ok())
}

/// Upstream text reaches the log only where it looks like one of GoTrue's codes.
fn printable(code: Option<&str>) -> &str {
    match code {
        None => "none",
        Some(code)
            if code.len() <= 64 && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') =>
        {
            code
        }
        Some(_) => "unprintable",
    }
}
