//! How long a postponed revocation waits for its next try.

use std::time::SystemTime;

use super::postponing::milliseconds;
use crate::gotrue::Refusal;

/// In milliseconds, as everything here.
const FIRST: i64 = 1000;
/// Between two tries, unless a `Retry-After` asks for more.
pub const LONGEST: i64 = 5 * 60 * 1000;
/// What a `Retry-After` may ask for: a proxy's mistake shall not outlast the entry.
const LONGEST_ASKED: i64 = 60 * 60 * 1000;

/// Milliseconds from `now`, itself in milliseconds since the Unix epoch, to the next try after
/// `attempts` failed ones: twice as long each time, with jitter of a half, and no sooner than a
/// `Retry-After` asks for.
#[must_use]
pub fn after(attempts: u32, refusal: &Refusal, now: i64) -> i64 {
    let doubled = FIRST.saturating_mul(2_i64.saturating_pow(attempts)).min(LONGEST);
    fastrand::i64(doubled / 2..=doubled).max(asked_for(refusal, now).unwrap_or(0))
}

/// What `Retry-After` asks for, seconds or a date (RFC 9110, section 10.2.3), in milliseconds.
fn asked_for(refusal: &Refusal, now: i64) -> Option<i64> {
    let (Refusal::RateLimited { retry_after } | Refusal::Unavailable { retry_after }) = refusal
    else {
        return None;
    };
    let text = retry_after.as_ref()?.to_str().ok()?;
    let asked = match text.parse::<i64>() {
        Ok(seconds) => seconds.saturating_mul(1000),
        Err(_) => milliseconds(date(text)?).saturating_sub(now),
    };
    Some(asked.min(LONGEST_ASKED))
}

fn date(text: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(text).ok()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const NOW: i64 = 784_111_777_000;

    const UNAVAILABLE: Refusal = Refusal::Unavailable { retry_after: None };

    #[test]
    fn it_doubles_from_a_second_to_five_minutes_and_varies_by_a_half() {
        for (attempts, longest) in
            [(0, 1000), (1, 2000), (8, 256_000), (9, 300_000), (u32::MAX, 300_000)]
        {
            let waits: Vec<_> = (0..100).map(|_| after(attempts, &UNAVAILABLE, NOW)).collect();
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
            let retry_after = Some(HeaderValue::from_static(retry_after));
            for refusal in [
                Refusal::RateLimited { retry_after: retry_after.clone() },
                Refusal::Unavailable { retry_after },
            ] {
                let wait = after(0, &refusal, NOW);
                assert!((least..=least.max(1000)).contains(&wait), "{refusal:?}: {wait}");
            }
        }
    }
}
