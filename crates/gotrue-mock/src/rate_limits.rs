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

use axum::http::HeaderMap;

use crate::{database::Database, error::GotrueError, mock::Mock, settings::Settings};

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
enum Message {
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
    fn bucket(self, settings: &Settings) -> (f64, Duration) {
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

    /// Counts a request of the client that the header of the settings names. Without such a header no limit applies.
    pub(crate) fn check(self, mock: &Mock, headers: &HeaderMap) -> Result<(), GotrueError> {
        self.check_in(mock, &mut mock.database(), headers)
    }

    /// The same for a caller that has the database.
    pub(crate) fn check_in(
        self,
        mock: &Mock,
        database: &mut Database,
        headers: &HeaderMap,
    ) -> Result<(), GotrueError> {
        let settings = mock.settings();
        let Some(name) = &settings.rate_limit_header else { return Ok(()) };
        let client = headers.get(name.as_str()).and_then(|value| value.to_str().ok());
        let client = client.and_then(|value| value.split(',').next()).unwrap_or_default().trim();
        if client.is_empty() {
            return Ok(());
        }
        let (now, bucket) = (mock.now(), self.bucket(settings));
        if database.rate_limits.take(self, client, bucket, now) {
            return Ok(());
        }
        let message = "Request rate limit reached";
        Err(GotrueError::too_many_requests("over_request_rate_limit", message))
    }
}

impl RateLimits {
    /// Takes a token from the client's bucket. Returns whether there was one.
    fn take(
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
    fn count(&mut self, message: Message, limit: Option<u32>, now: SystemTime) -> bool {
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

/// Counts a mail. `sent_at` is when the user was sent the last one of its kind.
pub(crate) fn check_mail(
    mock: &Mock,
    database: &mut Database,
    sent_at: Option<SystemTime>,
) -> Result<(), GotrueError> {
    let (settings, now) = (mock.settings(), mock.now());
    let code = "over_email_send_rate_limit";
    check_interval(sent_at, settings.mail_interval, code, now)?;
    let limit = settings.mails_per_hour.filter(|_| !settings.confirms_emails);
    if database.rate_limits.count(Message::Mail, limit, now) {
        return Ok(());
    }
    Err(GotrueError::too_many_requests(code, "email rate limit exceeded"))
}

const TEXT_CODE: &str = "over_sms_send_rate_limit";

/// Checks the time since the last text message for a second factor.
pub(crate) fn check_factor_text_interval(
    mock: &Mock,
    sent_at: Option<SystemTime>,
) -> Result<(), GotrueError> {
    check_interval(sent_at, mock.settings().factor_text_interval, TEXT_CODE, mock.now())
}

/// Checks the time since the user was sent the last text message.
pub(crate) fn check_text_interval(
    mock: &Mock,
    sent_at: Option<SystemTime>,
) -> Result<(), GotrueError> {
    check_interval(sent_at, mock.settings().text_interval, TEXT_CODE, mock.now())
}

/// Counts a text message. The caller does not count the message of a fixed code, because none is sent.
pub(crate) fn count_text(mock: &Mock, database: &mut Database) -> Result<(), GotrueError> {
    let settings = mock.settings();
    let limit = settings.texts_per_hour.filter(|_| !settings.confirms_phones);
    if database.rate_limits.count(Message::Text, limit, mock.now()) {
        return Ok(());
    }
    Err(GotrueError::too_many_requests(TEXT_CODE, "SMS rate limit exceeded"))
}

fn check_interval(
    sent_at: Option<SystemTime>,
    interval: Duration,
    code: &'static str,
    now: SystemTime,
) -> Result<(), GotrueError> {
    let next = sent_at.map(|sent_at| sent_at + interval);
    match next.and_then(|next| next.duration_since(now).ok()).filter(|left| !left.is_zero()) {
        None => Ok(()),
        Some(left) => {
            let seconds = left.as_secs();
            let message = format!(
                "For security purposes, you can only request this after {seconds} seconds."
            );
            Err(GotrueError::too_many_requests(code, message))
        }
    }
}
