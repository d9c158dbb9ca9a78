//! What the mock was asked: the call log that tests read.

use std::{collections::BTreeMap, fmt};

use axum::http::request::Parts;
use serde::Serialize;

/// The log keeps the newest ones.
pub(super) const KEPT: usize = 50_000;

/// One request to anything but the control routes, as it came.
#[derive(Clone, Serialize)]
pub struct Call {
    /// `POST`.
    pub method: String,
    /// `/auth/v1/logout`.
    pub path: String,
    /// `scope=local`, without the question mark; empty if there is none.
    pub query: String,
    /// Names in lower case, each with its values in order.
    pub headers: BTreeMap<String, Vec<String>>,
    /// The body; octets that are not UTF-8 are replaced.
    pub body: String,
}

impl Call {
    pub(super) fn of(head: &Parts, body: &[u8]) -> Self {
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

    /// The first value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.first().map(String::as_str)
    }
}

/// Headers and body hold credentials.
impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}?{}", self.method, self.path, self.query)
    }
}
