//! GoTrue's API versions, which decide the shape of errors.

use axum::http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};

/// The request header that asks for an API version, and the response header that confirms it.
const API_VERSION: &str = "x-supabase-api-version";
const V2024_01_01: &str = "2024-01-01";

/// Inserts the header that confirms the API version of an error.
pub(crate) fn insert_api_version(headers: &mut HeaderMap, version: ApiVersion) {
    if version == ApiVersion::V20240101 {
        headers.insert(API_VERSION, HeaderValue::from_static(V2024_01_01));
    }
}

/// GoTrue's API version, which decides the shape of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ApiVersion {
    Initial,
    V20240101,
}

impl ApiVersion {
    /// Returns the newest version that is not after the requested date, and [`Self::Initial`] if
    /// the request has no valid date.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Self {
        let requested = headers.get(API_VERSION).and_then(|value| value.to_str().ok());
        let requested = requested.filter(|date| {
            date.len() == V2024_01_01.len()
                && humantime::parse_rfc3339(&format!("{date}T00:00:00Z")).is_ok()
        });
        match requested {
            Some(date) if date >= V2024_01_01 => Self::V20240101,
            _ => Self::Initial,
        }
    }

    pub(crate) fn body(self, status: StatusCode, code: &str, message: &str) -> Value {
        match self {
            Self::Initial => json!({ "code": status.as_u16(), "error_code": code, "msg": message }),
            Self::V20240101 => json!({ "code": code, "message": message }),
        }
    }
}
