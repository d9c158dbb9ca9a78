//! Who is calling: a session, from the Bearer or from the cookie that @supabase/ssr wrote.
//!
//! 1. A Bearer decides alone: if it does not verify, no cookie is looked at.
//! 2. One exception: a Bearer that is genuine but expired may be refreshed with the cookie of the
//!    same session.
//! 3. Whatever is taken from a cookie needs CSRF: [`Session::carrier`] tells.

pub mod cookies;
pub mod introspection;
pub mod jwks;
pub mod token;
pub mod verifier;

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use secrecy::{ExposeSecret, SecretString};
use tracing::Instrument as _;

use self::{
    cookies::{RequestCookies, Stored, StoredSession},
    token::{Claims, TokenError, session_of},
    verifier::{Standing, Verifier},
};
use crate::telemetry::traces;

/// What the request brings along, unjudged.
#[derive(Debug)]
pub enum Credential {
    /// `Authorization: Bearer`.
    Bearer(SecretString),
    /// A session cookie that could be decoded.
    Cookie(StoredSession),
    /// A session cookie that could not be decoded.
    Undecodable,
    /// Nothing.
    Missing,
}

impl Credential {
    /// The Bearer, if there is one, else the session cookie named `key`.
    #[must_use]
    pub fn of(headers: &HeaderMap, cookies: &RequestCookies<'_>, key: &str) -> Self {
        bearer(headers).map_or_else(|| Self::of_cookie(cookies, key), Self::Bearer)
    }

    /// The session cookie named `key`, whatever Bearer stands beside it.
    #[must_use]
    pub fn of_cookie(cookies: &RequestCookies<'_>, key: &str) -> Self {
        match cookies.session(key) {
            Stored::Session(stored) => Self::Cookie(stored),
            Stored::Undecodable => Self::Undecodable,
            Stored::Absent => Self::Missing,
        }
    }

    /// Whether no cookie was looked at.
    #[must_use]
    pub fn is_bearer(&self) -> bool {
        matches!(self, Self::Bearer(_))
    }
}

/// The token of a Bearer header (RFC 6750, section 2.1); another scheme is no credential of ours.
#[must_use]
pub fn bearer(headers: &HeaderMap) -> Option<SecretString> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = match value.iter().position(u8::is_ascii_whitespace) {
        Some(space) => value.split_at(space),
        None => (value, [].as_slice()),
    };
    // What is no text cannot be a token, but it was meant as one.
    let token = std::str::from_utf8(token.trim_ascii()).unwrap_or_default();
    scheme.eq_ignore_ascii_case(b"bearer").then(|| SecretString::from(token))
}

/// How the session came, and so what else it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// A browser never adds it by itself: no CSRF token needed.
    Bearer,
    /// The cookie: CSRF token needed.
    Cookie,
    /// An expired Bearer, refreshed with its session's cookie: CSRF token needed.
    BearerAndCookie,
}

impl Carrier {
    /// What `X-Auth-Carrier` says: which of the request's credentials the access token came in.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bearer | Self::BearerAndCookie => "bearer",
            Self::Cookie => "cookie",
        }
    }
}

/// How far the gateway knows that the caller holds this session. It decides what a logout may leave
/// behind: only proven sessions enter the revocation list, and unproven ones leave nothing at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The access token verified here and has not expired, or GoTrue vouched for it.
    Proven,
    /// The access token verified here but for its `exp`: it may come from an old log.
    Stale,
    /// The access token's signature has not been verified: an attacker may have chosen its ids.
    Unproven,
}

/// A session whose claims are in order.
#[derive(Clone, Debug)]
pub struct Session {
    /// What its access token says.
    pub claims: Arc<Claims>,
    /// How far that is known to be true.
    pub proof: Proof,
    /// Whether that is proven.
    pub standing: Standing,
    /// Whether the access token's time is over.
    pub expired: bool,
    /// As it came.
    pub access_token: SecretString,
    /// From the cookie, unless it was empty there.
    pub refresh_token: Option<SecretString>,
    /// How it came.
    pub carrier: Carrier,
}

/// Why nobody is calling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthenticationError {
    /// No credential.
    Missing,
    /// One that is not genuine.
    Invalid(TokenError),
}

/// What to do about an access token whose `kid` is not in the key set at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownKey {
    /// Fetch the key set again, which may take as long as `GATEWAY_UPSTREAM_TIMEOUT`.
    Refetch,
    /// Refuse the token at once: another credential of the request is known, and must not wait for it.
    Refuse,
}

impl Verifier {
    /// Judges what came at `now`, seconds since the Unix epoch. An expired session is still one.
    ///
    /// # Errors
    /// [`AuthenticationError`], with the rule that the token breaks.
    pub async fn session(
        &self,
        credential: Credential,
        cookies: &RequestCookies<'_>,
        key: &str,
        now: i64,
        unknown_key: UnknownKey,
    ) -> Result<Session, AuthenticationError> {
        let (access_token, mut refresh_token, mut carrier) = match credential {
            Credential::Missing => return Err(AuthenticationError::Missing),
            Credential::Undecodable => {
                return Err(AuthenticationError::Invalid(TokenError::Undecodable));
            }
            Credential::Bearer(token) => (token, None, Carrier::Bearer),
            Credential::Cookie(stored) => {
                (stored.access_token, stored.refresh_token, Carrier::Cookie)
            }
        };
        let judging = async {
            let token = access_token.expose_secret();
            match unknown_key {
                UnknownKey::Refetch => self.judge(token, now).await,
                UnknownKey::Refuse => self.judge_at_hand(token, now),
            }
        };
        let judged = judging.instrument(traces::token_check()).await;
        let judged = judged.map_err(AuthenticationError::Invalid)?;
        if judged.expired && carrier == Carrier::Bearer {
            refresh_token = cookie_of_same_session(cookies, key, &judged.claims);
            if refresh_token.is_some() {
                carrier = Carrier::BearerAndCookie;
            }
        }
        let verifier::Judged { claims, standing, expired } = judged;
        let proof = match (standing, expired) {
            (Standing::Verified, false) => Proof::Proven,
            (Standing::Verified, true) => Proof::Stale,
            (Standing::Unjudged | Standing::Unjudgeable, _) => Proof::Unproven,
        };
        Ok(Session { claims, proof, standing, expired, access_token, refresh_token, carrier })
    }
}

/// The refresh token beside an expired Bearer. Its access token need not verify: what counts is the
/// session that GoTrue refreshes it into, and that is compared again.
fn cookie_of_same_session(
    cookies: &RequestCookies<'_>,
    key: &str,
    claims: &Claims,
) -> Option<SecretString> {
    let Stored::Session(stored) = cookies.session(key) else { return None };
    let same =
        session_of(stored.access_token.expose_secret()) == Some((claims.sub, claims.session_id));
    stored.refresh_token.filter(|_| same)
}
