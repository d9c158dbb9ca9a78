//! Finds the session of a request: in its Bearer token, or in the cookie that `@supabase/ssr` wrote.
//!
//! 1. A Bearer token takes precedence over the cookie: if it does not verify, the cookie is not read.
//! 2. An expired Bearer token may be refreshed with the refresh token of the cookie, if both belong to the
//!    same session.
//! 3. A logout that uses the cookie needs a CSRF token. [`Session::carrier`] says whether the cookie is used.

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
    /// A session cookie that the gateway decoded.
    Cookie(StoredSession),
    /// A session cookie that the gateway could not decode.
    Undecodable,
    /// The request has neither a Bearer token nor a session cookie.
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
    // A Bearer token that is not UTF-8 counts as an empty one, which no rule accepts. If it counted as
    // absent, the cookie would decide.
    let token = std::str::from_utf8(token.trim_ascii()).unwrap_or_default();
    scheme.eq_ignore_ascii_case(b"bearer").then(|| SecretString::from(token))
}

/// The credential that carried the session. It decides whether the request needs a CSRF token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// The Bearer token. The request needs no CSRF token, because a browser never adds a Bearer token by
    /// itself.
    Bearer,
    /// The cookie. The request needs a CSRF token.
    Cookie,
    /// An expired Bearer token, and the refresh token from the cookie of the same session. The request needs
    /// a CSRF token.
    BearerAndCookie,
}

impl Carrier {
    /// The value of the header `X-Auth-Carrier`: the credential that held the access token.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Bearer | Self::BearerAndCookie => "bearer",
            Self::Cookie => "cookie",
        }
    }
}

/// How certain it is that the client holds the session. The proof decides what a logout may change: only a
/// proven session enters the revocation list, and a logout of an unproven one changes nothing in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// The gateway verified the access token and it has not expired, or GoTrue accepted it.
    Proven,
    /// The gateway verified the access token, but the token has expired: an attacker may have found it in an
    /// old log.
    Stale,
    /// The access token's signature was not verified: an attacker may have chosen its user and session ids.
    Unproven,
}

/// The session of a request. Its access token follows the rules of [`token`].
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// The claims of the access token.
    pub(crate) claims: Arc<Claims>,
    /// How certain it is that the client holds the session.
    pub(crate) proof: Proof,
    /// The result of checking the access token's signature.
    pub(crate) signature: SignatureStatus,
    /// Whether the access token has expired.
    pub(crate) expired: bool,
    /// The access token that the Bearer header or the cookie carried.
    pub(crate) access_token: SecretString,
    /// The refresh token of the cookie, if the cookie is used and has one; never empty.
    pub(crate) refresh_token: Option<SecretString>,
    /// The credential that carried the session.
    pub(crate) carrier: Carrier,
}

/// Why a request has no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AuthenticationError {
    /// The request has no credential.
    Missing,
    /// The credential breaks the rule that the [`TokenError`] names.
    Invalid(TokenError),
}

/// What to do about an access token whose `kid` is not in the current key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnknownKey {
    /// Fetch the key set again, which may take as long as `GATEWAY_UPSTREAM_TIMEOUT`.
    Refetch,
    /// Refuse the token at once. This is for the cookie of a request that a Bearer token already identifies:
    /// the request must not wait for the cookie.
    Refuse,
}

impl Verifier {
    /// Checks `credential` at `now`, in seconds since the Unix epoch, and returns its session. `key` is the
    /// name of the session cookie. An expired access token is no error: see [`Session::expired`].
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
        let checking = async {
            let token = access_token.expose_secret();
            match unknown_key {
                UnknownKey::Refetch => self.verify_or_refetch(token, now).await,
                UnknownKey::Refuse => self.verify_with_known_keys(token, now),
            }
        };
        let checked = checking.instrument(traces::token_check()).await;
        let checked = checked.map_err(AuthenticationError::Invalid)?;
        if checked.expired && carrier == Carrier::Bearer {
            refresh_token = refresh_token_of_same_session(cookies, key, &checked.claims);
            if refresh_token.is_some() {
                carrier = Carrier::BearerAndCookie;
            }
        }
        let verifier::CheckedToken { claims, signature, expired } = checked;
        let proof = match (signature, expired) {
            (SignatureStatus::Verified, false) => Proof::Proven,
            (SignatureStatus::Verified, true) => Proof::Stale,
            (SignatureStatus::LeftToGoTrue | SignatureStatus::Unverifiable, _) => Proof::Unproven,
        };
        Ok(Session { claims, proof, signature, expired, access_token, refresh_token, carrier })
    }
}

/// The refresh token of the cookie beside an expired Bearer token, if both name the same user and session.
/// The cookie's access token is not verified here: the logout later compares the session with that of the
/// token that GoTrue returns for the refresh token.
fn refresh_token_of_same_session(
    cookies: &RequestCookies<'_>,
    key: &str,
    claims: &Claims,
) -> Option<SecretString> {
    let SessionCookie::Session(stored) = cookies.session(key) else { return None };
    let same =
        session_of(stored.access_token.expose_secret()) == Some((claims.sub, claims.session_id));
    stored.refresh_token.filter(|_| same)
}
