//! The body of a request by which an administrator creates or changes a user.

use std::time::SystemTime;

use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    credentials::{parse_email, parse_phone},
    error::GotrueError,
    go_duration,
    user::User,
};

/// The body of `POST /admin/users` and `PUT /admin/users/{id}`.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct UserForm {
    pub(crate) aud: String,
    pub(crate) id: String,
    pub(crate) role: String,
    pub(crate) email: String,
    pub(crate) phone: String,
    pub(crate) password: Option<SecretString>,
    pub(crate) password_hash: String,
    pub(crate) email_confirm: bool,
    pub(crate) phone_confirm: bool,
    pub(crate) user_metadata: Option<Map<String, Value>>,
    pub(crate) app_metadata: Option<Map<String, Value>>,
    pub(crate) ban_duration: String,
}

/// What a request says about a ban.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ban {
    Unchanged,
    Lifted,
    Until(SystemTime),
}

impl UserForm {
    /// The address as GoTrue stores it; `None` if the request has none.
    pub(crate) fn email(&self) -> Result<Option<String>, GotrueError> {
        Some(&*self.email).filter(|email| !email.is_empty()).map(parse_email).transpose()
    }

    /// The phone number as GoTrue stores it; `None` if the request has none.
    pub(crate) fn phone(&self) -> Result<Option<String>, GotrueError> {
        Some(&*self.phone).filter(|phone| !phone.is_empty()).map(parse_phone).transpose()
    }

    /// The ban, which begins now. A span of zero lifts a ban, as `none` does.
    pub(crate) fn ban(&self, now: SystemTime) -> Result<Ban, GotrueError> {
        match &*self.ban_duration {
            "" => return Ok(Ban::Unchanged),
            "none" => return Ok(Ban::Lifted),
            _ => {}
        }
        let span = go_duration::parse(&self.ban_duration).map_err(|error| {
            let message = format!("invalid format for ban duration: {error}");
            GotrueError::bad_request("validation_failed", message)
        })?;
        if span.length.is_zero() {
            return Ok(Ban::Lifted);
        }
        let until = if span.is_negative {
            now.checked_sub(span.length)
        } else {
            now.checked_add(span.length)
        };
        Ok(until.map_or(Ban::Unchanged, Ban::Until))
    }
}

impl Ban {
    pub(crate) fn apply(self, user: &mut User) {
        match self {
            Self::Unchanged => {}
            Self::Lifted => user.banned_until = None,
            Self::Until(until) => user.banned_until = Some(until),
        }
    }
}
