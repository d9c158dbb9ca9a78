//! The session of a request: from its Bearer token, or from the cookie that @supabase/ssr wrote.
//!
//! 1. If the request has a Bearer token, that token decides: if it does not verify, the cookie is not read.
//! 2. One exception: an expired Bearer token may be refreshed with the refresh token in the cookie of the same
//!    session.
//! 3. A request whose cookie is used needs a CSRF token: [`Session::carrier`] says whether it was.

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
    cookies::{RequestCookies, SessionCookie, StoredSession},
    token::{Claims, TokenError, session_of},
    verifier::{SignatureStatus, Verifier},
};
use crate::telemetry::traces;

/// The credential of a request, not yet verified.
#[derive(Debug)]
pub(crate) enum Credential {
    /// `Authorization: Bearer`.
    Bearer(SecretString),
    /// A session cookie that the gateway could decode.
    Cookie(StoredSession),
    /// A session cookie that the gateway could not decode.
    Undecodable,
    /// No credential.
    Missing,
}

impl Credential {
    /// The Bearer token if there is one, else the session cookie named `key`.
    pub(crate) fn of(headers: &HeaderMap, cookies: &RequestCookies<'_>, key: &str) -> Self {
        bearer(headers).map_or_else(|| Self::of_cookie(cookies, key), Self::Bearer)
    }

    /// The session cookie named `key`, even if the request has a Bearer token.
    pub(crate) fn of_cookie(cookies: &RequestCookies<'_>, key: &str) -> Self {
        match cookies.session(key) {
            SessionCookie::Session(stored) => Self::Cookie(stored),
            SessionCookie::Undecodable => Self::Undecodable,
            SessionCookie::Absent => Self::Missing,
        }
    }

    /// Whether it is a Bearer token.
    pub(crate) fn is_bearer(&self) -> bool {
        matches!(self, Self::Bearer(_))
    }
}

/// The token of an `Authorization: Bearer` header (RFC 6750, section 2.1); `None` for another scheme.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<SecretString> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = match value.iter().position(u8::is_ascii_whitespace) {
        Some(space) => value.split_at(space),
        None => (value, [].as_slice()),
    };
    // Octets that are not UTF-8 are no token, but the client meant them as one: the credential is invalid.
    let token = std::str::from_utf8(token.trim_ascii()).unwrap_or_default();
    scheme.eq_ignore_ascii_case(b"bearer").then(|| SecretString::from(token))
}

/// Which credential carried the session. It decides whether the request needs a CSRF token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// The Bearer token. It needs no CSRF token, because a browser never adds it by itself.
    Bearer,
    /// The cookie. It needs a CSRF token.
    Cookie,
    /// An expired Bearer token and the refresh token of its session's cookie. It needs a CSRF token.
    BearerAndCookie,
}

impl Carrier {
    /// The value of `X-Auth-Carrier`: the credential that held the access token.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Bearer | Self::BearerAndCookie => "bearer",
            Self::Cookie => "cookie",
        }
    }
}

/// How far the gateway knows that the client holds this session. It decides what a logout may change: only
/// proven sessions enter the revocation list, and unproven ones change nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// The gateway verified the access token and it has not expired, or GoTrue accepted it.
    Proven,
    /// The gateway verified the access token, but it has expired: it may come from an old log.
    Stale,
    /// The access token's signature has not been verified: an attacker may have chosen its ids.
    Unproven,
}

/// A session whose access token follows the rules.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// The claims of the access token.
    pub(crate) claims: Arc<Claims>,
    /// How far the gateway knows that the client holds the session.
    pub(crate) proof: Proof,
    /// The result of checking the access token's signature.
    pub(crate) signature: SignatureStatus,
    /// Whether the access token has expired.
    pub(crate) expired: bool,
    /// The access token as the request had it.
    pub(crate) access_token: SecretString,
    /// The refresh token of the cookie; never empty.
    pub(crate) refresh_token: Option<SecretString>,
    /// Which credential carried the session.
    pub(crate) carrier: Carrier,
}

/// Why a request has no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AuthenticationError {
    /// The request has no credential.
    Missing,
    /// The credential breaks this rule.
    Invalid(TokenError),
}

/// What to do about an access token whose `kid` is not in the current key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnknownKey {
    /// Fetch the key set again, which may take as long as `GATEWAY_UPSTREAM_TIMEOUT`.
    Refetch,
    /// Refuse the token at once, so that the request does not wait for a credential beside the one that
    /// identifies it.
    Refuse,
}

impl Verifier {
    /// The session of `credential` at `now`, in seconds since the Unix epoch. A session whose access token has
    /// expired is no error.
    ///
    /// # Errors
    /// [`AuthenticationError`], with the rule that the token breaks.
    pub(crate) async fn session(
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
                UnknownKey::Refetch => self.verify_or_refetch(token, now).await,
                UnknownKey::Refuse => self.verify_with_known_keys(token, now),
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
        let verifier::CheckedToken { claims, signature, expired } = judged;
        let proof = match (signature, expired) {
            (SignatureStatus::Verified, false) => Proof::Proven,
            (SignatureStatus::Verified, true) => Proof::Stale,
            (SignatureStatus::LeftToGoTrue | SignatureStatus::Unverifiable, _) => Proof::Unproven,
        };
        Ok(Session { claims, proof, signature, expired, access_token, refresh_token, carrier })
    }
}

/// The refresh token of the cookie beside an expired Bearer token, if both name the same session. The cookie's
/// access token need not verify: the logout compares the session that GoTrue returns for the refresh token.
fn cookie_of_same_session(
    cookies: &RequestCookies<'_>,
    key: &str,
    claims: &Claims,
) -> Option<SecretString> {
    let SessionCookie::Session(stored) = cookies.session(key) else { return None };
    let same =
        session_of(stored.access_token.expose_secret()) == Some((claims.sub, claims.session_id));
    stored.refresh_token.filter(|_| same)
}
