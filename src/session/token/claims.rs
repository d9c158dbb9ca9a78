//! The claims of an access token that the gateway reads, and their rules.

use std::slice;

use serde::{Deserialize, Deserializer};
use serde_json::{Number, Value};
use uuid::Uuid;

use super::{ClaimMismatch, Rules, TokenError};

/// How many seconds `nbf` may be ahead of the gateway's clock. If `iat` is ahead by more, the log warns of the
/// clocks.
pub(crate) const CLOCK_AHEAD_SECONDS: i64 = 30;

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
    /// Whether the user is anonymous.
    pub is_anonymous: bool,
    /// The client of GoTrue's OAuth server that the token was issued to.
    pub client_id: Option<String>,
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

    /// Refuses a token whose `nbf` is more than 30 s ahead of `now`, in seconds since the Unix epoch.
    ///
    /// # Errors
    /// [`TokenError::Future`] for such a token.
    pub fn check_not_before(&self, now: i64) -> Result<(), TokenError> {
        if is_far_ahead(self.nbf, now) { Err(TokenError::Future) } else { Ok(()) }
    }

    /// Whether `iat` is more than 30 s ahead of `now`, in seconds since the Unix epoch.
    pub(crate) fn is_issued_ahead(&self, now: i64) -> bool {
        is_far_ahead(self.iat, now)
    }
}

fn is_far_ahead(time: Option<i64>, now: i64) -> bool {
    time.is_some_and(|time| time > now.saturating_add(CLOCK_AHEAD_SECONDS))
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
    #[serde(default, deserialize_with = "seconds")]
    iat: Option<i64>,
    nbf: Option<i64>,
    pub(super) sub: Option<Uuid>,
    pub(super) session_id: Option<Uuid>,
    role: Option<String>,
    aal: Option<String>,
    is_anonymous: Option<bool>,
    #[serde(default, deserialize_with = "text")]
    client_id: Option<String>,
}

/// Reads a claim of any type, and shows a value that is no text as JSON. Older releases of GoTrue do not know the
/// claim, so a hook of the project may have written any value.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    })
}

/// Reads a time with or without a fraction (RFC 7519, section 2: `NumericDate`), in whole seconds. GoTrue accepts both.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    #[expect(clippy::cast_possible_truncation, reason = "a time beyond i64 is saturated")]
    let whole = |time: f64| time.floor() as i64;
    let time = Option::<Number>::deserialize(deserializer)?;
    Ok(time.and_then(|time| time.as_i64().or_else(|| time.as_f64().map(whole))))
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

    fn has_accepted_audience(&self, rules: &Rules) -> bool {
        let is_accepted = |aud: &String| rules.audiences.contains(aud);
        match &self.aud {
            Some(Audience::One(aud)) => is_accepted(aud),
            Some(Audience::Many(many)) => many.iter().any(is_accepted),
            None => false,
        }
    }

    /// The ids of user and session, if GoTrue issues such ids.
    fn session(&self) -> Option<(Uuid, Uuid)> {
        let is_issued = |id: &Uuid| !id.is_nil() && !has_version_of_a_fact(*id);
        Some((self.sub?, self.session_id.filter(is_issued)?))
    }

    /// The first of `iss` and `aud` that is not accepted.
    pub(super) fn mismatch(&self, rules: &Rules) -> Option<ClaimMismatch> {
        if !rules.issuers.is_accepted(self.iss.as_deref()) {
            return Some(ClaimMismatch::issuer(self.iss.as_deref(), &rules.issuers));
        }
        let audiences = match &self.aud {
            None => &[][..],
            Some(Audience::One(aud)) => slice::from_ref(aud),
            Some(Audience::Many(many)) => many,
        };
        let is_accepted = self.has_accepted_audience(rules);
        (!is_accepted).then(|| ClaimMismatch::audience(audiences, &rules.audiences))
    }

    /// Checks the claims against `rules`, except for the times.
    pub(super) fn check(self, rules: &Rules) -> Result<Claims, TokenError> {
        // Check the session first: a token without a session, such as an API key, is refused for that, and not for its
        // issuer, which would point at a wrong setting.
        let (sub, session_id) = self.session().ok_or(TokenError::NoSession)?;
        if !rules.issuers.is_accepted(self.iss.as_deref()) {
            return Err(TokenError::Issuer);
        }
        if !self.has_accepted_audience(rules) {
            return Err(TokenError::Audience);
        }
        let Self { exp, iat, nbf, role, aal, is_anonymous, client_id, .. } = self;
        let is_anonymous = is_anonymous.unwrap_or_default();
        Ok(Claims { sub, session_id, exp, iat, nbf, role, aal, is_anonymous, client_id })
    }
}
