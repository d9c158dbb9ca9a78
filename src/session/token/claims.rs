//! The claims of an access token that the gateway reads, and their rules.

use serde::Deserialize;
use uuid::Uuid;

use super::{Rules, TokenError};

/// The most seconds that `nbf` or `iat` may be ahead of the gateway's clock.
const CLOCK_AHEAD_SECONDS: i64 = 30;

/// The claims that the gateway reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The subject: the user's id at GoTrue.
    pub sub: Uuid,
    /// The session's id; never the nil UUID.
    pub session_id: Uuid,
    /// When the token expires, in seconds since the Unix epoch.
    pub exp: i64,
    /// When the token was issued, in seconds since the Unix epoch.
    pub iat: Option<i64>,
    /// When the token becomes valid, in seconds since the Unix epoch.
    pub nbf: Option<i64>,
    /// The database role that Supabase uses for the user's requests.
    pub role: Option<String>,
    /// The authenticator assurance level: `aal1`, or `aal2` after a second factor.
    pub aal: Option<String>,
}

/// When a token was issued and when it expires, by GoTrue's clock, in seconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The claim `iat`.
    pub(crate) issued_at: Option<i64>,
    /// The claim `exp`.
    pub(crate) expires_at: i64,
}

impl Claims {
    pub(crate) fn validity(&self) -> Validity {
        Validity { issued_at: self.iat, expires_at: self.exp }
    }

    /// Whether `exp` has passed at `now`, in seconds since the Unix epoch. There is no leeway, because GoTrue
    /// gives none.
    pub(crate) fn expired(&self, now: i64) -> bool {
        self.exp <= now
    }

    /// Refuses a token whose `nbf` or `iat` is more than 30 s ahead of `now`, in seconds since the Unix
    /// epoch.
    ///
    /// # Errors
    /// [`TokenError::Future`] for such a token.
    pub fn check_not_before(&self, now: i64) -> Result<(), TokenError> {
        let latest = self.nbf.into_iter().chain(self.iat).max();
        match latest {
            Some(start) if start > now.saturating_add(CLOCK_AHEAD_SECONDS) => {
                Err(TokenError::Future)
            }
            _ => Ok(()),
        }
    }
}

/// Whether the id has version 14 or 15. RFC 9562 defines neither, and GoTrue's ids have version 4. The
/// revocation list stores a fact about a session under the session's id with one of these versions
/// ([`SessionFact`](crate::store::list::SessionFact)), so a session with such an id would look like a fact
/// about another session.
fn has_version_of_a_fact(session_id: Uuid) -> bool {
    matches!(session_id.get_version_num(), 14 | 15)
}

/// The claims of a token, before they are checked.
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

    /// Checks the claims against `rules`, except for the times.
    pub(super) fn check(self, rules: &Rules) -> Result<Claims, TokenError> {
        if !self.iss.is_some_and(|iss| rules.issuers.contains(&iss)) {
            return Err(TokenError::Issuer);
        }
        let is_accepted = |aud: &String| rules.audiences.contains(aud);
        match &self.aud {
            Some(Audience::One(aud)) if is_accepted(aud) => {}
            Some(Audience::Many(many)) if many.iter().any(is_accepted) => {}
            _ => return Err(TokenError::Audience),
        }
        let (Some(sub), Some(session_id)) = (self.sub, self.session_id) else {
            return Err(TokenError::NoSession);
        };
        if session_id.is_nil() || has_version_of_a_fact(session_id) {
            return Err(TokenError::NoSession);
        }
        let Self { exp, iat, nbf, role, aal, .. } = self;
        Ok(Claims { sub, session_id, exp, iat, nbf, role, aal })
    }
}
