//! The log of the requests that the mock received.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    time::SystemTime,
};

use axum::http::{StatusCode, request::Parts};
use serde::{Serialize, Serializer};

use crate::clock::timestamp;

/// The most calls in the log.
const MAX_CALLS: usize = 50_000;

/// The most bytes of text in the log: 64 MiB.
const MAX_BYTES: usize = 64 << 20;

/// The newest calls, oldest first. Above its limits the log drops the oldest calls.
#[derive(Debug, Default)]
pub(crate) struct CallLog {
    calls: VecDeque<Call>,
    bytes: usize,
    /// The `id` of the next call.
    next_id: u64,
}

impl CallLog {
    /// Adds a call. Returns its id.
    pub(crate) fn push(&mut self, mut call: Call) -> u64 {
        call.id = self.next_id;
        self.next_id += 1;
        self.bytes += call.size();
        self.calls.push_back(call);
        while self.calls.len() > MAX_CALLS || self.bytes > MAX_BYTES {
            let Some(oldest) = self.calls.pop_front() else { break };
            self.bytes -= oldest.size();
        }
        self.next_id - 1
    }

    /// Notes the status of the response to a call, if the log still has the call.
    pub(crate) fn set_status(&mut self, id: u64, status: StatusCode) {
        // Responses come soon after their calls, so the call is near the end.
        if let Some(call) = self.calls.iter_mut().rev().find(|call| call.id == id) {
            call.status = Some(status.as_u16());
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Call> {
        self.calls.iter()
    }

    /// Empties the log. The ids go on, so that a late response has no effect on a call after this.
    pub(crate) fn clear(&mut self) {
        *self = Self { next_id: self.next_id, ..Self::default() };
    }
}

/// One request as it arrived. Requests to the control endpoints, CORS preflights and requests whose
/// body is over 1 MiB are not logged.
#[derive(Clone, Serialize)]
pub struct Call {
    /// The number of the call since the mock's start.
    pub id: u64,
    /// The mock's time when the call arrived.
    #[serde(serialize_with = "serialize_time")]
    pub at: SystemTime,
    /// The status of the response; `None` as long as there is none, and if a fault broke the connection.
    pub status: Option<u16>,
    /// The method, for example `POST`.
    pub method: String,
    /// The path, for example `/auth/v1/logout`.
    pub path: String,
    /// The query without the question mark, for example `scope=local`; empty if there is none.
    pub query: String,
    /// The values of each header in the order of arrival; names are in lower case.
    pub headers: BTreeMap<String, Vec<String>>,
    /// The body as UTF-8. Bytes that are not UTF-8 are replaced by U+FFFD. It is empty for a request that the mock
    /// passes on to the server of [`Options::fallback`](crate::Options::fallback).
    pub body: String,
}

impl Call {
    pub(crate) fn new(head: &Parts, body: &[u8], at: SystemTime) -> Self {
        let mut headers = BTreeMap::<_, Vec<_>>::new();
        for (name, value) in &head.headers {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            headers.entry(name.to_string()).or_default().push(value);
        }
        Self {
            id: 0,
            at,
            status: None,
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            headers,
            body: String::from_utf8_lossy(body).into_owned(),
        }
    }

    /// The bytes of its texts.
    fn size(&self) -> usize {
        let values = |values: &Vec<String>| values.iter().map(String::len).sum::<usize>();
        let headers = self.headers.iter().map(|(name, texts)| name.len() + values(texts));
        let texts = [&self.method, &self.path, &self.query, &self.body];
        texts.map(String::len).into_iter().chain(headers).sum()
    }

    /// The first value of the header with this name, which must be in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.first().map(String::as_str)
    }
}

fn serialize_time<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&timestamp(*time))
}

/// Shows method and path only: query, headers and body have credentials.
impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(path: usize, body: usize) -> Call {
        Call {
            id: 0,
            at: SystemTime::UNIX_EPOCH,
            status: None,
            method: String::new(),
            path: path.to_string(),
            query: String::new(),
            headers: BTreeMap::new(),
            body: "x".repeat(body),
        }
    }

    #[test]
    fn the_log_drops_the_oldest_calls_above_64_mib_or_50_000_calls() {
        let mut log = CallLog::default();
        for number in 0..70 {
            log.push(call(number, 1 << 20));
        }
        let kept: Vec<_> = log.iter().map(|call| call.path.clone()).collect();
        assert_eq!((kept.len(), kept.first().map(String::as_str)), (63, Some("7")));
        log.clear();
        for number in 0..=MAX_CALLS {
            log.push(call(number, 0));
        }
        assert_eq!(log.iter().count(), MAX_CALLS);
        assert_eq!(log.iter().next().map(|call| &*call.path), Some("1"));
    }

    #[test]
    fn a_status_is_noted_at_its_call_as_long_as_the_log_has_it() {
        let mut log = CallLog::default();
        let [first, second] = [1, 2].map(|number| log.push(call(number, 0)));
        log.set_status(first, StatusCode::NO_CONTENT);
        let statuses: Vec<_> = log.iter().map(|call| call.status).collect();
        assert_eq!(statuses, [Some(204), None]);
        log.clear();
        log.push(call(3, 0));
        log.set_status(second, StatusCode::OK);
        assert!(log.iter().all(|call| call.status.is_none()));
    }
}
