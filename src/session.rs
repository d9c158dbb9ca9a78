//! Finds the sessions of a request: that of its Bearer token, or those of the cookies that `@supabase/ssr` wrote.
//!
//! 1. If the request has a Bearer token of this project, that token takes precedence over the cookies: if it does
//!    not verify, the cookies are not read.
//! 2. One exception: an expired Bearer token may be refreshed with the refresh token in the cookie of the same
//!    session.
//! 3. A logout that uses a cookie needs a CSRF token. [`Session::carrier`] says whether a cookie is used.

mod base64url;
pub mod cookies;
pub mod introspection;
pub mod jwks;
mod refresh_tokens;
pub mod token;
pub mod verifier;

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use secrecy::{ExposeSecret, SecretString};

use self::{
    cookies::{JarSessions, OtherProject, RequestCookies},
    token::{Claim, ClaimMismatch, Claims, TokenError, session_of},
    verifier::{CheckedToken, SignatureStatus, Verifier},
};
use crate::config::Cookies;

/// The credential of a request, not yet verified.
#[derive(Debug)]
pub(crate) enum Credential {
    /// `Authorization: Bearer`.
    Bearer(Arc<SecretString>),
    /// The session cookies.
    Jar(JarSessions),
    /// The request has neither a Bearer token nor a session cookie.
    Missing,
}

impl Credential {
    /// The Bearer token if it is of this project, else the session cookies. Any other Bearer token is used only
    /// if there is no session cookie, because API keys and the tokens of hosting platforms come in the same
    /// header.
    pub(crate) fn of(
        headers: &HeaderMap,
        cookies: &RequestCookies<'_>,
        config: &Cookies,
        verifier: &Verifier,
    ) -> Self {
        let bearer = bearer(headers);
        match bearer {
            Some(token) if verifier.is_of_project(token.expose_secret()) => {
                Self::Bearer(Arc::new(token))
            }
            bearer => match (cookies.sessions(config), bearer) {
                (jar, Some(token)) if jar.is_empty() => Self::Bearer(Arc::new(token)),
                (jar, None) if jar.is_empty() => Self::Missing,
                (jar, _) => Self::Jar(jar),
            },
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
///
/// The greater proof is the more certain one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Proof {
    /// The access token's signature was not verified: an attacker may have chosen its user and session ids.
    Unproven,
    /// The gateway verified the access token, but the token has expired: an attacker may have found it in an
    /// old log.
    Stale,
    /// The gateway verified the access token and it has not expired, or GoTrue accepted it.
    Proven,
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
    /// The access token that the Bearer header or the cookie carried. Shared with [`Credential`]: a copy would be wiped
    /// too, octet by octet.
    pub(crate) access_token: Arc<SecretString>,
    /// The refresh tokens of the cookies, in the order in which they are tried. None of them is empty.
    pub(crate) refresh_tokens: Vec<SecretString>,
    /// The credential that carried the session.
    pub(crate) carrier: Carrier,
}

/// Why a request has no session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AuthenticationError {
    /// The request has no credential.
    Missing,
    /// The request has no credential of this project, but a session cookie of another one.
    OtherProject(Box<OtherProject>),
    /// The Bearer token is not of this project, and the request has a session cookie of another project.
    BearerBesideOtherProject(Box<OtherProject>),
    /// The credential breaks this rule.
    Invalid(TokenError),
    /// The token's signature verifies, but the configuration does not accept its issuer or audience.
    ClaimNotAccepted(Box<ClaimMismatch>),
}

impl AuthenticationError {
    /// Whether the configuration may be wrong instead of the credential, so that the browser must keep its
    /// cookies. `Invalid` with an issuer or audience is the error of a token whose signature was not verified: it
    /// may be genuine too.
    pub(crate) fn may_be_misconfiguration(&self) -> bool {
        match self {
            Self::ClaimNotAccepted(_)
            | Self::Invalid(TokenError::Issuer | TokenError::Audience) => true,
            Self::Missing
            | Self::OtherProject(_)
            | Self::BearerBesideOtherProject(_)
            | Self::Invalid(_) => false,
        }
    }
}

impl Verifier {
    /// Checks an access token at `now`, in seconds since the Unix epoch, and returns its session. An expired
    /// access token is no error: see [`Session::expired`]. The key set is not fetched: see
    /// [`may_be_outdated`](Self::may_be_outdated).
    ///
    /// # Errors
    /// [`AuthenticationError`], with the rule that the token breaks.
    pub(crate) fn session(
        &self,
        access_token: &Arc<SecretString>,
        refresh_tokens: &[SecretString],
        carrier: Carrier,
        now: i64,
    ) -> Result<Session, AuthenticationError> {
        let token = access_token.expose_secret();
        let checked = self.verify(token, now);
        let CheckedToken { claims, signature, expired } = checked.map_err(|error| {
            let is_of_claim = matches!(error, TokenError::Issuer | TokenError::Audience);
            let mismatch = is_of_claim.then(|| self.claim_mismatch(token)).flatten();
            mismatch.map_or(AuthenticationError::Invalid(error), |mismatch| {
                AuthenticationError::ClaimNotAccepted(Box::new(mismatch))
            })
        })?;
        let proof = match (signature, expired) {
            (SignatureStatus::Verified, false) => Proof::Proven,
            (SignatureStatus::Verified, true) => Proof::Stale,
            (SignatureStatus::LeftToGoTrue | SignatureStatus::Unverifiable, _) => Proof::Unproven,
        };
        let (access_token, refresh_tokens) = (Arc::clone(access_token), refresh_tokens.to_vec());
        Ok(Session { claims, proof, signature, expired, access_token, refresh_tokens, carrier })
    }

    /// Whether a newer key set, or the issuer that GoTrue publishes now, may change the result.
    pub(crate) fn may_be_outdated(&self, result: &Result<Session, AuthenticationError>) -> bool {
        match result {
            Ok(session) => session.signature == SignatureStatus::Unverifiable,
            Err(AuthenticationError::Invalid(TokenError::UnknownKey)) => true,
            Err(AuthenticationError::Invalid(TokenError::Issuer)) => {
                self.accepts_published_issuer() || self.has_keys().is_none()
            }
            // The signature of this token was not verified, or the error would be `ClaimNotAccepted`.
            Err(AuthenticationError::Invalid(TokenError::Audience)) => self.has_keys().is_none(),
            Err(AuthenticationError::ClaimNotAccepted(mismatch)) => {
                mismatch.claim == Claim::Issuer && self.accepts_published_issuer()
            }
            Err(_) => false,
        }
    }
}

impl Session {
    /// Whether two cookies hold the same session. If neither access token is verified, one of them may be forged with
    /// the ids of the other, so the tokens must be equal.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        let is_certain = |session: &Self| session.proof != Proof::Unproven;
        let has_same_token =
            || self.access_token.expose_secret() == other.access_token.expose_secret();
        self.claims.session_id == other.claims.session_id
            && self.claims.sub == other.claims.sub
            && (is_certain(self) || is_certain(other) || has_same_token())
    }

    /// Adds the refresh tokens of another cookie of this session. Also takes the access token of that cookie if
    /// its proof is better, or if it has the same proof and is verified or not expired when this one is not.
    pub(crate) fn merge(&mut self, other: Self) {
        let preference = |session: &Self| {
            let is_verified = session.signature == SignatureStatus::Verified;
            (session.proof, is_verified, !session.expired)
        };
        let added = if preference(&other) > preference(self) {
            std::mem::replace(self, other).refresh_tokens
        } else {
            other.refresh_tokens
        };
        refresh_tokens::add(&mut self.refresh_tokens, added);
    }

    /// Adds the refresh tokens of the cookies of the same user and session to the session of an expired Bearer
    /// token. The cookies' access tokens are not verified here: the logout later compares the session with that
    /// of the token that GoTrue returns for the refresh token.
    pub(crate) fn take_refresh_tokens(&mut self, jar: JarSessions) {
        let this = Some((self.claims.sub, self.claims.session_id));
        let same =
            jar.sessions.into_iter().filter(|s| session_of(s.access_token.expose_secret()) == this);
        let added = same.flat_map(|session| session.refresh_tokens);
        refresh_tokens::add(&mut self.refresh_tokens, added);
        if !self.refresh_tokens.is_empty() {
            self.carrier = Carrier::BearerAndCookie;
        }
    }
}
