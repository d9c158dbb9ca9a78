//! The claims that the gateway reads of an access token, and the rules that they must keep.

use serde::Deserialize;
use uuid::Uuid;

use super::{Rules, TokenError};

/// How far the clock of the issuer may be ahead of ours.
const CLOCK_AHEAD_SECONDS: i64 = 30;

/// What the gateway reads of an access token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The user's id.
    pub sub: Uuid,
    /// The session's id, never nil.
    pub session_id: Uuid,
    /// Seconds since the Unix epoch.
    pub exp: i64,
    /// Seconds since the Unix epoch.
    pub iat: Option<i64>,
    /// Seconds since the Unix epoch.
    pub nbf: Option<i64>,
    /// The database role.
    pub role: Option<String>,
    /// The authenticator assurance level.
    pub aal: Option<String>,
}

/// From when to when a token is valid, by the clock of GoTrue, which issued it. Seconds since the Unix
/// epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// `iat`.
    pub issued_at: Option<i64>,
    /// `exp`.
    pub expires_at: i64,
}

impl Claims {
    /// From when to when the token is valid.
    #[must_use]
    pub fn validity(&self) -> Validity {
        Validity { issued_at: self.iat, expires_at: self.exp }
    }

    /// GoTrue gives no leeway, so neither do we.
    #[must_use]
    pub fn expired(&self, now: i64) -> bool {
        self.exp <= now
    }

    /// Whether `nbf` and `iat` are not ahead of `now`.
    ///
    /// # Errors
    /// [`TokenError::Future`] when one is.
    pub fn begun(&self, now: i64) -> Result<(), TokenError> {
        let latest = self.nbf.into_iter().chain(self.iat).max();
        match latest {
            Some(start) if start > now.saturating_add(CLOCK_AHEAD_SECONDS) => {
                Err(TokenError::Future)
            }
            _ => Ok(()),
        }
    }
}

/// Whether the id has version 14 or 15. RFC 9562 defines neither, and GoTrue's ids are of version 4. The
/// revocation list holds its facts about a session under the session's id with these versions
/// ([`SessionFact`](crate::store::list::SessionFact)): a session of such an id could be taken for a fact
/// about another one.
fn is_of_no_version_of_gotrues(session_id: Uuid) -> bool {
    matches!(session_id.get_version_num(), 14 | 15)
}

/// The claims as they stand in the token.
#[derive(Deserialize)]
pub(super) struct Payload {
    iss: Option<String>,
    aud: Option<Audience>,
    exp: i64,
    iat: Option<i64>,
    nbf: Option<i64>,
    pub(super) sub: Option<Uuid>,
    pub(super) session_id: Option<Uuid>,
    role: Option<String>,
    aal: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Payload {
    pub(super) fn validity(&self) -> Validity {
        Validity { issued_at: self.iat, expires_at: self.exp }
    }

    /// Holds them against `rules`, all but the times.
    pub(super) fn believed(self, rules: &Rules) -> Result<Claims, TokenError> {
        if !self.iss.is_some_and(|iss| rules.issuers.contains(&iss)) {
            return Err(TokenError::Issuer);
        }
        let meant_for_us = |aud: &String| rules.audiences.contains(aud);
        match &self.aud {
            Some(Audience::One(aud)) if meant_for_us(aud) => {}
            Some(Audience::Many(many)) if many.iter().any(meant_for_us) => {}
            _ => return Err(TokenError::Audience),
        }
        let (Some(sub), Some(session_id)) = (self.sub, self.session_id) else {
            return Err(TokenError::NoSession);
        };
        if session_id.is_nil() || is_of_no_version_of_gotrues(session_id) {
            return Err(TokenError::NoSession);
        }
        let Self { exp, iat, nbf, role, aal, .. } = self;
        Ok(Claims { sub, session_id, exp, iat, nbf, role, aal })
    }
}
