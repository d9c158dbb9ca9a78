//! Protects logouts by cookie from cross-site request forgery. Every such logout passes three layers:
//!
//! 1. Fetch metadata and origin ([`origin`]): the gateway refuses requests of another site's page.
//! 2. Double submit: the header `X-CSRF-Token` equals the CSRF cookie, which only a page of this site can
//!    read.
//! 3. Signed and bound: the value is `<random>.<HMAC-SHA256 of the request's sessions and random>`. A cookie that
//!    a sibling subdomain planted, or a CSRF token of another session, is refused.
//!
//! A CSRF token has no expiry of its own, so that an old page can still log out. If neither the gateway nor
//! GoTrue has verified an access token, the CSRF token is bound to that access token instead of its session,
//! because an attacker may have chosen the session id.
//!
//! Source: OWASP Cross-Site Request Forgery Prevention Cheat Sheet, "Signed Double-Submit Cookie".

pub mod origin;
pub mod submitted;

use aws_lc_rs::{
    error::Unspecified,
    hmac,
    rand::{SecureRandom, SystemRandom},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::SecretString;
use uuid::Uuid;

use self::{origin::AllowedOrigins, submitted::SubmittedToken};
use crate::{
    config::{Config, CsrfMode},
    key_derivation,
    session::token::TokenDigest,
};

const RANDOM_BYTES: usize = 32;
const MAC_BYTES: usize = 32;

/// Why the CSRF check refuses a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CsrfError {
    /// The request has no `X-CSRF-Token` or no CSRF cookie.
    Missing,
    /// Header and cookie differ, or the CSRF token belongs to another session.
    Invalid,
}

/// One of the sessions or access tokens that a CSRF token is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoundTo {
    /// A session whose access token the gateway verified or GoTrue accepted.
    Session(Uuid),
    /// One expired access token whose signature neither the gateway nor GoTrue can check.
    AccessToken(TokenDigest),
}

impl BoundTo {
    fn octets(&self) -> &[u8] {
        match self {
            Self::Session(session_id) => session_id.as_bytes(),
            Self::AccessToken(digest) => digest,
        }
    }
}

/// All sessions of one request, to which a CSRF token is bound. The token is valid only for a request with
/// exactly these sessions: if another site plants a session cookie, the gateway refuses the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding(Vec<BoundTo>);

impl Binding {
    /// Binds to all of `parts`. Their order does not matter, and duplicates are ignored.
    #[must_use]
    pub fn to(parts: impl IntoIterator<Item = BoundTo>) -> Self {
        Self::of(parts.into_iter().collect())
    }

    /// A function without type parameters, so that sorting is compiled once.
    fn of(mut parts: Vec<BoundTo>) -> Self {
        parts.sort_by(|a, b| a.octets().cmp(b.octets()));
        parts.dedup();
        Self(parts)
    }
}

/// Mints and checks CSRF tokens.
#[derive(Debug)]
pub struct Csrf {
    mode: CsrfMode,
    current: hmac::Key,
    previous: Option<hmac::Key>,
    random: SystemRandom,
    /// The origins whose pages may send requests, besides the gateway's own.
    pub allowed_origins: AllowedOrigins,
}

impl Csrf {
    /// Derives the HMAC keys from the configured secrets. Without a secret the key is random and lives as
    /// long as the process.
    ///
    /// # Errors
    /// [`Unspecified`] when the system gives no randomness.
    pub fn new(config: &Config) -> Result<Self, Unspecified> {
        let random = SystemRandom::new();
        let current = if let Some(secret) = &config.secrets.current {
            derived_key(secret)?
        } else {
            hmac::Key::generate(hmac::HMAC_SHA256, &random)?
        };
        Ok(Self {
            mode: config.csrf.mode,
            current,
            previous: config.secrets.previous.as_ref().map(derived_key).transpose()?,
            random,
            allowed_origins: AllowedOrigins::new(&config.csrf.allowed_origins),
        })
    }

    /// Makes a new CSRF token for `binding`.
    ///
    /// # Errors
    /// [`Unspecified`] when the system gives no randomness.
    pub fn mint(&self, binding: &Binding) -> Result<String, Unspecified> {
        let mut random = [0; RANDOM_BYTES];
        self.random.fill(&mut random)?;
        let mac = hmac::sign(&self.current, &message(binding, &random));
        Ok(format!("{}.{}", URL_SAFE_NO_PAD.encode(random), URL_SAFE_NO_PAD.encode(mac)))
    }

    /// Whether `token` is valid for one of `bindings`. In double-submit mode, where the application makes its
    /// own CSRF tokens, any token that is not empty is valid.
    #[must_use]
    pub fn is_valid(&self, token: &str, bindings: &[Binding]) -> bool {
        match self.mode {
            CsrfMode::DoubleSubmit => !token.is_empty(),
            CsrfMode::Signed => bindings.iter().any(|binding| self.is_bound(token, binding)),
        }
    }

    /// Whether the gateway minted `token` for `binding`, with the current or the previous secret.
    fn is_bound(&self, token: &str, binding: &Binding) -> bool {
        let Some((random, mac)) = token.split_once('.') else { return false };
        let (Ok(random), Ok(mac)) = (URL_SAFE_NO_PAD.decode(random), URL_SAFE_NO_PAD.decode(mac))
        else {
            return false;
        };
        let minted = random.len() == RANDOM_BYTES && mac.len() == MAC_BYTES;
        let message = message(binding, &random);
        let keys = std::iter::once(&self.current).chain(&self.previous);
        minted && keys.into_iter().any(|key| hmac::verify(key, &message, &mac).is_ok())
    }

    /// Checks the double submit and the signature (layers 2 and 3): `header` must equal one of `cookies`, and
    /// this cookie must be valid for one of `bindings`. One such cookie is enough, because another site may
    /// have planted more.
    ///
    /// # Errors
    /// [`CsrfError::Missing`] if there is no header or no cookie, else [`CsrfError::Invalid`].
    pub fn check_double_submit<'c>(
        &self,
        header: Option<SubmittedToken<'_>>,
        mut cookies: impl Iterator<Item = &'c str>,
        bindings: &[Binding],
    ) -> Result<(), CsrfError> {
        let mut cookies = cookies.by_ref().filter(|value| !value.is_empty()).peekable();
        let Some(header) = header.filter(|h| !h.is_empty()) else { return Err(CsrfError::Missing) };
        if cookies.peek().is_none() {
            return Err(CsrfError::Missing);
        }
        let is_valid =
            cookies.any(|cookie| header.equals(cookie) && self.is_valid(cookie, bindings));
        if is_valid { Ok(()) } else { Err(CsrfError::Invalid) }
    }
}

fn derived_key(secret: &SecretString) -> Result<hmac::Key, Unspecified> {
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &key_derivation::derive(secret, b"csrf")?))
}

/// The signed message: the parts of the binding and then the random octets, each preceded by its length. So no
/// two pairs of binding and random octets give the same message.
fn message(binding: &Binding, random: &[u8]) -> Vec<u8> {
    let parts = binding.0.iter().map(BoundTo::octets).chain([random]);
    let mut message = Vec::with_capacity(64 + 48 * binding.0.len());
    for part in parts {
        message.extend((part.len() as u64).to_be_bytes());
        message.extend(part);
    }
    message
}

#[cfg(test)]
mod tests;
