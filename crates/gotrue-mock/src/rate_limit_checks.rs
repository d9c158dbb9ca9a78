//! Counts requests and messages, and refuses those above the limits of the settings.

use std::time::{Duration, SystemTime};

use axum::http::HeaderMap;

use crate::{
    database::Database,
    error::GotrueError,
    mock::Mock,
    rate_limits::{LimitedRequest, Message},
};

const TEXT_CODE: &str = "over_sms_send_rate_limit";

impl LimitedRequest {
    /// Counts a request of the client that the header of the settings names. Without such a header no limit applies.
    pub(crate) fn count(self, mock: &Mock, headers: &HeaderMap) -> Result<(), GotrueError> {
        self.count_in(mock, &mut mock.database(), headers)
    }

    /// The same for a caller that has the database.
    pub(crate) fn count_in(
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

/// Counts a mail. `sent_at` is when the user was sent the last one of its kind.
pub(crate) fn count_mail(
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
