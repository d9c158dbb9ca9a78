//! Cross-site request forgery: three layers, all on every logout that a cookie carries.
//!
//! 1. Fetch metadata and origin ([`origin`]): a request of a foreign page is refused.
//! 2. Double submit: the header `X-CSRF-Token` equals the CSRF cookie, which only a page of this
//!    site can read.
//! 3. Signed and bound: the value is `<random>.<HMAC-SHA256 of session and random>`, so that a cookie
//!    planted by a sibling subdomain, or a token of another session, is worth nothing.
//!
//! A token lives as long as its session: it holds no time and never locks a user in. An expired access
//! token that only GoTrue could have judged gets a CSRF token that is bound to that access token: its
//! session id may be anybody's.
//! OWASP Cross-Site Request Forgery Prevention Cheat Sheet, "Signed Double-Submit Cookie".

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

/// Why a request is not taken for the user's own wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CsrfError {
    /// No header, or no cookie.
    Missing,
    /// They differ, or are not this session's.
    Invalid,
    /// A foreign page asks.
    CrossSite,
}

/// What a CSRF token is bound to, and worthless without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// A session whose token verified here, or that GoTrue has vouched for.
    Session(Uuid),
    /// One expired access token whose signature neither the gateway nor GoTrue can check.
    AccessToken(TokenDigest),
}

impl Binding {
    fn octets(&self) -> &[u8] {
        match self {
            Self::Session(session_id) => session_id.as_bytes(),
            Self::AccessToken(digest) => digest,
        }
    }
}

/// Mints and judges CSRF tokens.
#[derive(Debug)]
pub struct Csrf {
    mode: CsrfMode,
    current: hmac::Key,
    previous: Option<hmac::Key>,
    random: SystemRandom,
    /// Whose pages may ask, besides the gateway's own.
    pub allowed_origins: AllowedOrigins,
}

impl Csrf {
    /// With keys derived from the configured secrets, or a random one for the life of the process.
    ///
    /// # Errors
    /// [`Unspecified`] when the system gives no randomness.
    pub fn new(config: &Config) -> Result<Self, Unspecified> {
        let random = SystemRandom::new();
        let current = if let Some(secret) = &config.secrets.current {
            derived(secret)?
        } else {
            hmac::Key::generate(hmac::HMAC_SHA256, &random)?
        };
        Ok(Self {
            mode: config.csrf.mode,
            current,
            previous: config.secrets.previous.as_ref().map(derived).transpose()?,
            random,
            allowed_origins: AllowedOrigins::new(&config.csrf.allowed_origins),
        })
    }

    /// A fresh token.
    ///
    /// # Errors
    /// [`Unspecified`] when the system gives no randomness.
    pub fn mint(&self, binding: Binding) -> Result<String, Unspecified> {
        let mut random = [0; RANDOM_BYTES];
        self.random.fill(&mut random)?;
        let mac = hmac::sign(&self.current, &message(binding, &random));
        Ok(format!("{}.{}", URL_SAFE_NO_PAD.encode(random), URL_SAFE_NO_PAD.encode(mac)))
    }

    /// Whether `token` will do for one of `bindings`: any will, where the app mints its own.
    #[must_use]
    pub fn is_good(&self, token: &str, bindings: &[Binding]) -> bool {
        match self.mode {
            CsrfMode::DoubleSubmit => !token.is_empty(),
            CsrfMode::Signed => bindings.iter().any(|binding| self.is_bound(token, *binding)),
        }
    }

    /// Whether the gateway minted `token` for that binding, with the current or the previous secret.
    fn is_bound(&self, token: &str, binding: Binding) -> bool {
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

    /// Layers 2 and 3. Of several CSRF cookies, one of which may be planted, any good one will do.
    ///
    /// # Errors
    /// [`CsrfError::Missing`] or [`CsrfError::Invalid`].
    pub fn double_submit<'c>(
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
        let good = cookies.any(|cookie| header.equals(cookie) && self.is_good(cookie, bindings));
        if good { Ok(()) } else { Err(CsrfError::Invalid) }
    }
}

fn derived(secret: &SecretString) -> Result<hmac::Key, Unspecified> {
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &key_derivation::derived(secret, b"csrf")?))
}

/// Binding and random, each after its length: no two pairs read the same, and the length tells a session
/// from an access token.
fn message(binding: Binding, random: &[u8]) -> Vec<u8> {
    let binding = binding.octets();
    let mut message = Vec::with_capacity(16 + binding.len() + random.len());
    for part in [binding, random] {
        message.extend((part.len() as u64).to_be_bytes());
        message.extend(part);
    }
    message
}

#[cfg(test)]
mod tests;
