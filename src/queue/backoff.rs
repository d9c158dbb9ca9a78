//! How long a postponed revocation waits for its next try.

use std::time::{Duration, SystemTime};

use super::postponing::milliseconds;
use crate::gotrue::Refusal;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(5);
/// What a `Retry-After` may ask for: a proxy's mistake shall not outlast the entry.
const LONGEST_ASKED: Duration = Duration::from_hours(1);

/// Milliseconds from `now`, itself in milliseconds since the Unix epoch, to the next try after
/// `attempts` failed ones: twice as long each time, with jitter of a half, and no sooner than a
/// `Retry-After` asks for.
#[must_use]
pub fn after(attempts: u32, refusal: &Refusal, now: i64) -> i64 {
    let doubled = FIRST.saturating_mul(1_u32.checked_shl(attempts).unwrap_or(u32::MAX));
    let longest = doubled.min(LONGEST);
    let jittered = longest.mul_f64(0.5 + fastrand::f64() / 2.0);
    let wait = i64::try_from(jittered.as_millis()).unwrap_or(i64::MAX);
    wait.max(asked_for(refusal, now).unwrap_or(0))
}

/// What `Retry-After` asks for, seconds or a date (RFC 9110, section 10.2.3), in milliseconds.
fn asked_for(refusal: &Refusal, now: i64) -> Option<i64> {
    let Refusal::RateLimited { retry_after: Some(value) } = refusal else { return None };
    let text = value.to_str().ok()?;
    let asked = match text.parse::<i64>() {
        Ok(seconds) => seconds.saturating_mul(1000),
        Err(_) => milliseconds(date(text)?).saturating_sub(now),
    };
    Some(asked.min(i64::try_from(LONGEST_ASKED.as_millis()).unwrap_or(i64::MAX)))
}

fn date(text: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(text).ok()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const NOW: i64 = 784_111_777_000;

    fn rate_limited(retry_after: &'static str) -> Refusal {
        Refusal::RateLimited { retry_after: Some(HeaderValue::from_static(retry_after)) }
    }

    #[test]
    fn it_doubles_from_a_second_to_five_minutes_and_varies_by_a_half() {
        for (attempts, longest) in
            [(0, 1000), (1, 2000), (8, 256_000), (9, 300_000), (u32::MAX, 300_000)]
        {
            let waits: Vec<_> =
                (0..100).map(|_| after(attempts, &Refusal::Unavailable, NOW)).collect();
            assert!(waits.iter().all(|wait| (longest / 2..=longest).contains(wait)), "{waits:?}");
            assert!(waits.iter().any(|wait| *wait != waits[0]), "no jitter");
        }
    }

    #[test]
    fn a_retry_after_is_honoured_up_to_an_hour() {
        for (retry_after, least) in [
            ("17", 17_000),
            ("0", 500),
            ("99999999999999999999", 500),
            ("86400", 3_600_000),
            ("Sun, 06 Nov 1994 08:50:37 GMT", 60_000),
            ("Sun, 06 Nov 1994 08:49:00 GMT", 500),
        ] {
            let wait = after(0, &rate_limited(retry_after), NOW);
            assert!((least..=least.max(1000)).contains(&wait), "{retry_after}: {wait}");
        }
    }
}
