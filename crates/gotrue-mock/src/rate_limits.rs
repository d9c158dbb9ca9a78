//! GoTrue's rate limits, each with status 429.
//!
//! 1. For each client, which a request header names, a request limit: a bucket of tokens for each kind of request.
//! 2. For the whole server, a number of mails and of text messages per hour. Only messages that confirm an address or
//!    sign a user in count, and only where addresses are not confirmed at once.
//! 3. For each user, a time between two messages of one kind.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use crate::settings::Settings;

const HOUR: Duration = Duration::from_hours(1);
const MINUTE: Duration = Duration::from_mins(1);

/// The size of a bucket, which no setting changes (recorded: `limit-burst-token`).
const BURST: f64 = 30.0;

/// The time in which `GOTRUE_RATE_LIMIT_OTP` and the like allow their number of requests.
const REFILL_PERIOD: Duration = Duration::from_mins(5);

/// The number of buckets above which those that have ended are purged.
const PURGE_ABOVE: usize = 10_000;

/// A kind of request that has a limit of its own for each client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum LimitedRequest {
    AnonymousSignUp,
    FactorChallenge,
    FactorVerification,
    MagicLink,
    Otp,
    Recover,
    Resend,
    SignUp,
    Token,
    UserUpdate,
    Verify,
}

/// A kind of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Message {
    Mail,
    Text,
}

/// The requests and messages so far.
#[derive(Default)]
pub(crate) struct RateLimits {
    buckets: HashMap<(LimitedRequest, String), Bucket>,
    windows: HashMap<Message, Window>,
}

/// A token bucket.
struct Bucket {
    tokens: f64,
    updated_at: SystemTime,
    /// GoTrue then forgets the bucket, and the client begins with a full one.
    ends_at: SystemTime,
}

/// The messages of the current hour.
struct Window {
    began_at: SystemTime,
    count: u32,
}

impl LimitedRequest {
    /// How long GoTrue keeps a bucket, however often it is used.
    fn bucket_lifetime(self) -> Duration {
        match self {
            Self::FactorChallenge | Self::FactorVerification => MINUTE,
            _ => HOUR,
        }
    }

    /// The size of a bucket, and the time in which an empty one is full again.
    pub(crate) fn bucket(self, settings: &Settings) -> (f64, Duration) {
        let per_period = match self {
            Self::AnonymousSignUp => {
                return (f64::from(settings.anonymous_sign_ups_per_hour), HOUR);
            }
            Self::FactorChallenge | Self::FactorVerification => {
                let per_minute = f64::from(settings.factor_requests_per_minute.max(1));
                return (BURST, MINUTE.mul_f64(BURST / per_minute));
            }
            Self::Token => settings.tokens_per_five_minutes,
            Self::Verify => settings.verifications_per_five_minutes,
            _ => settings.codes_per_five_minutes,
        };
        (BURST, REFILL_PERIOD.mul_f64(BURST / f64::from(per_period.max(1))))
    }
}

impl RateLimits {
    /// Takes a token from the client's bucket. Returns whether there was one.
    pub(crate) fn take(
        &mut self,
        request: LimitedRequest,
        client: &str,
        (size, refill): (f64, Duration),
        now: SystemTime,
    ) -> bool {
        if self.buckets.len() >= PURGE_ABOVE {
            self.buckets.retain(|_, bucket| now < bucket.ends_at);
        }
        let new =
            || Bucket { tokens: size, updated_at: now, ends_at: now + request.bucket_lifetime() };
        let bucket = self.buckets.entry((request, client.to_owned())).or_insert_with(new);
        if now >= bucket.ends_at {
            *bucket = new();
        }
        let elapsed = now.duration_since(bucket.updated_at).unwrap_or_default();
        let refilled = size * elapsed.div_duration_f64(refill);
        (bucket.tokens, bucket.updated_at) = ((bucket.tokens + refilled).min(size), now);
        let is_allowed = bucket.tokens >= 1.0;
        if is_allowed {
            bucket.tokens -= 1.0;
        }
        is_allowed
    }

    /// Counts a message. Returns whether the hour has room for it.
    pub(crate) fn count(&mut self, message: Message, limit: Option<u32>, now: SystemTime) -> bool {
        let Some(limit) = limit else { return true };
        let window = self.windows.entry(message).or_insert(Window { began_at: now, count: 0 });
        if now >= window.began_at + HOUR {
            *window = Window { began_at: now, count: 0 };
        }
        let is_allowed = window.count < limit;
        if is_allowed {
            window.count += 1;
        }
        is_allowed
    }
}
