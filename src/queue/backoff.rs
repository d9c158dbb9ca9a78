//! Computes the pause before the next retry of a queued logout: exponential backoff with jitter.

use std::time::Duration;

use jiff::Timestamp;

use crate::{gotrue::Refusal, store::entry::MAX_RETRY_AFTER};

const FIRST: Duration = Duration::from_secs(1);
/// The longest pause, unless GoTrue's `Retry-After` asks for a longer one.
pub(crate) const MAX_PAUSE: Duration = Duration::from_mins(5);

/// The pause after `attempts` failed tries: one second, doubled after each try up to [`MAX_PAUSE`], and
/// shortened by up to half at random. It is at least the pause of a `Retry-After` in `refusal`.
pub(crate) fn after(attempts: u32, refusal: &Refusal, now: Timestamp) -> Duration {
    let doubled = FIRST.saturating_mul(2_u32.saturating_pow(attempts)).min(MAX_PAUSE);
    let jittered = doubled.mul_f64(0.5 + fastrand::f64() / 2.0);
    jittered.max(pause_of_retry_after(refusal, now).unwrap_or_default())
}

/// The pause that the `Retry-After` of `refusal` asks for, given in seconds or as a date (RFC 9110, section
/// 10.2.3), at most [`MAX_RETRY_AFTER`].
fn pause_of_retry_after(refusal: &Refusal, now: Timestamp) -> Option<Duration> {
    let (Refusal::RateLimited { retry_after } | Refusal::Unavailable { retry_after }) = refusal
    else {
        return None;
    };
    Some(retry_after.as_ref()?.wait(now.into()).min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;
    use crate::gotrue::RetryAfter;

    const SECOND: u64 = 1000;

    fn now() -> Timestamp {
        "1994-11-06T08:49:37Z".parse().unwrap()
    }

    const UNAVAILABLE: Refusal = Refusal::Unavailable { retry_after: None };

    #[test]
    fn the_pause_doubles_from_a_second_to_five_minutes_with_jitter_of_a_half() {
        for (attempts, longest) in
            [(0, 1000), (1, 2000), (8, 256_000), (9, 300_000), (u32::MAX, 300_000)]
        {
            let waits: Vec<_> = (0..100).map(|_| after(attempts, &UNAVAILABLE, now())).collect();
            let longest = Duration::from_millis(longest);
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
            let retry_after = RetryAfter::parse(&HeaderValue::from_static(retry_after));
            for refusal in [
                Refusal::RateLimited { retry_after: retry_after.clone() },
                Refusal::Unavailable { retry_after },
            ] {
                let wait = after(0, &refusal, now());
                let [least, most] = [least, least.max(SECOND)].map(Duration::from_millis);
                assert!((least..=most).contains(&wait), "{refusal:?}: {wait:?}");
            }
        }
    }
}
