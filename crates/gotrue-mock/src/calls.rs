//! The log of the requests that the mock received.

use std::{collections::BTreeMap, fmt};

use axum::http::request::Parts;
use serde::Serialize;

/// The most calls in the log. The log then drops the oldest call for each new one.
pub(crate) const MAX_CALLS: usize = 50_000;

/// One request as it arrived. Requests to the control routes, CORS preflights and requests whose
/// body is over 1 MiB are not logged.
#[derive(Clone, Serialize)]
pub struct Call {
    /// The method, for example `POST`.
    pub method: String,
    /// The path, for example `/auth/v1/logout`.
    pub path: String,
    /// The query without the question mark, for example `scope=local`; empty if there is none.
    pub query: String,
    /// The values of each header in the order of arrival; names are in lower case.
    pub headers: BTreeMap<String, Vec<String>>,
    /// The body as UTF-8. Bytes that are not UTF-8 are replaced by U+FFFD. It is empty for a request that the mock passes
    /// on to the server of [`Options::fallback`](crate::Options::fallback).
    pub body: String,
}

impl Call {
    pub(crate) fn new(head: &Parts, body: &[u8]) -> Self {
        let mut headers = BTreeMap::<_, Vec<_>>::new();
        for (name, value) in &head.headers {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            headers.entry(name.to_string()).or_default().push(value);
        }
        Self {
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            headers,
            body: String::from_utf8_lossy(body).into_owned(),
        }
    }

    /// The first value of the header with this name, which must be in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.first().map(String::as_str)
    }
}

/// Shows neither headers nor body: they hold credentials.
impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}?{}", self.method, self.path, self.query)
    }
}
