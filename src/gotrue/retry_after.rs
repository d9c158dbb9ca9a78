//! The header `Retry-After` in GoTrue's answers (RFC 9110, section 10.2.3).

use std::time::{Duration, SystemTime};

use axum::http::HeaderValue;

/// The most digits of a number of seconds: no client could wait longer.
const MOST_DIGITS: usize = 10;

/// The earliest time at which GoTrue wants the next request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryAfter {
    value: HeaderValue,
    time: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Time {
    After(Duration),
    At(SystemTime),
}

impl RetryAfter {
    /// `None` unless the header is a number of seconds or an HTTP date.
    pub(crate) fn parse(value: &HeaderValue) -> Option<Self> {
        let text = value.to_str().ok()?;
        let is_seconds = text.len() <= MOST_DIGITS && text.bytes().all(|b| b.is_ascii_digit());
        let time = match text.parse() {
            Ok(seconds) if is_seconds => Time::After(Duration::from_secs(seconds)),
            _ => Time::At(httpdate::parse_http_date(text).ok()?),
        };
        Some(Self { value: value.clone(), time })
    }

    /// The header's value, octet for octet as GoTrue sent it.
    #[must_use]
    pub fn as_header(&self) -> &HeaderValue {
        &self.value
    }

    /// How long to wait from `now`; zero if the date has passed.
    pub(crate) fn wait(&self, now: SystemTime) -> Duration {
        match self.time {
            Time::After(wait) => wait,
            Time::At(date) => date.duration_since(now).unwrap_or_default(),
        }
    }
}
