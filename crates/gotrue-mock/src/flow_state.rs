//! A sign-in by PKCE (RFC 7636) or at an identity provider that has begun: the row in `auth.flow_state`.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    error::GotrueError,
    external_flow::{ExternalFlow, ProviderTokens},
};

/// `GOTRUE_EXTERNAL_FLOW_STATE_EXPIRY_DURATION`.
const LIFETIME: Duration = Duration::from_mins(5);
const CHALLENGE_LENGTH: std::ops::RangeInclusive<usize> = 43..=128;

/// The challenge of a request, as the client sent it: members of its body or parameters of its query.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Challenge {
    #[serde(rename = "code_challenge")]
    pub(crate) challenge: String,
    #[serde(rename = "code_challenge_method")]
    pub(crate) method: String,
}

/// The code that the client exchanges for a session, and the challenge that its verifier must match.
#[derive(Clone)]
pub(crate) struct Pkce {
    pub(crate) auth_code: Uuid,
    challenge: String,
    is_plain: bool,
}

/// One row of `auth.flow_state`.
#[derive(Clone, Debug)]
pub(crate) struct FlowState {
    /// `None` until an identity provider has said who the person is.
    pub(crate) user_id: Option<Uuid>,
    /// The identity provider, or what the mail is for. Only the audit log shows it.
    pub(crate) provider_type: String,
    /// The method in the `amr` claim of the session that it brings.
    pub(crate) authentication_method: &'static str,
    /// What the client sent for PKCE; `None` in the implicit flow.
    pub(crate) pkce: Option<Pkce>,
    /// The sign-in at an identity provider; `None` if the user signs in by a mail.
    pub(crate) external: Option<ExternalFlow>,
    pub(crate) created_at: SystemTime,
    /// The tokens of the identity provider at which the user has signed in.
    pub(crate) provider_tokens: Option<ProviderTokens>,
    auth_code_issued_at: Option<SystemTime>,
}

/// Leaves the challenge out, because with the method `plain` it is the verifier itself.
impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Challenge").field("method", &self.method).finish_non_exhaustive()
    }
}

/// Leaves out the code and the challenge, which bring a session.
impl fmt::Debug for Pkce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pkce").field("is_plain", &self.is_plain).finish_non_exhaustive()
    }
}

impl Challenge {
    /// Whether the client asks for PKCE.
    pub(crate) fn is_given(&self) -> bool {
        !self.challenge.is_empty()
    }

    /// GoTrue's `validatePKCEParams`. It does not look at the method.
    pub(crate) fn check(&self) -> Result<(), GotrueError> {
        let invalid = |message| Err(GotrueError::bad_request("validation_failed", message));
        if self.challenge.is_empty() != self.method.is_empty() {
            return invalid(
                "PKCE flow requires code_challenge_method and code_challenge".to_owned(),
            );
        }
        if self.challenge.is_empty() {
            return Ok(());
        }
        if !CHALLENGE_LENGTH.contains(&self.challenge.len()) {
            let (min, max) = (CHALLENGE_LENGTH.start(), CHALLENGE_LENGTH.end());
            return invalid(format!("code challenge has to be between {min} and {max} characters"));
        }
        let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b"._~-".contains(&b);
        if !self.challenge.bytes().all(is_allowed) {
            let message = "code challenge can only contain alphanumeric characters, hyphens, periods, underscores \
                           and tildes";
            return invalid(message.to_owned());
        }
        Ok(())
    }
}

impl Pkce {
    /// `None` if GoTrue does not know the method.
    pub(crate) fn new(auth_code: Uuid, Challenge { challenge, method }: Challenge) -> Option<Self> {
        let is_plain = match method.to_lowercase().as_str() {
            "s256" => false,
            "plain" => true,
            _ => return None,
        };
        Some(Self { auth_code, challenge, is_plain })
    }

    fn is_verified_by(&self, verifier: &str) -> bool {
        if self.is_plain {
            return self.challenge == verifier;
        }
        let hash = digest(&SHA256, verifier.as_bytes());
        self.challenge == BASE64_URL_SAFE_NO_PAD.encode(hash)
    }
}

impl FlowState {
    /// The flow of a user who gets a mail. GoTrue answers an unknown method with 500, because it notices it only when
    /// it stores the row (recorded: `signup-method-unknown`).
    pub(crate) fn new(
        user_id: Uuid,
        auth_code: Uuid,
        authentication_method: &'static str,
        challenge: Challenge,
        now: SystemTime,
    ) -> Result<Self, GotrueError> {
        let pkce = Pkce::new(auth_code, challenge).ok_or_else(GotrueError::unexpected)?;
        Ok(Self {
            user_id: Some(user_id),
            provider_type: authentication_method.to_owned(),
            authentication_method,
            pkce: Some(pkce),
            external: None,
            created_at: now,
            provider_tokens: None,
            auth_code_issued_at: None,
        })
    }

    /// The flow of a person who goes to an identity provider.
    pub(crate) fn new_external(
        external: ExternalFlow,
        pkce: Option<Pkce>,
        now: SystemTime,
    ) -> Self {
        Self {
            user_id: None,
            provider_type: external.provider.clone(),
            authentication_method: "oauth",
            pkce,
            external: Some(external),
            created_at: now,
            provider_tokens: None,
            auth_code_issued_at: None,
        }
    }

    /// Whether this is the flow at an identity provider with this parameter `state`.
    pub(crate) fn has_state(&self, state: Uuid) -> bool {
        self.external.as_ref().is_some_and(|external| external.state == state)
    }

    /// Whether the client can exchange this code for a session: the user is known.
    pub(crate) fn has_auth_code(&self, auth_code: Uuid) -> bool {
        self.user_id.is_some() && self.pkce.as_ref().is_some_and(|pkce| pkce.auth_code == auth_code)
    }

    /// The client gets the code. `None` in the implicit flow.
    pub(crate) fn issue_code(&mut self, now: SystemTime) -> Option<Uuid> {
        let auth_code = self.pkce.as_ref()?.auth_code;
        self.auth_code_issued_at = Some(now);
        Some(auth_code)
    }

    /// GoTrue's `IsExpired`. Only the lifetime of a magic link begins when the client gets the code.
    pub(crate) fn is_expired(&self, now: SystemTime) -> bool {
        let issued_at =
            self.auth_code_issued_at.filter(|_| self.authentication_method == "magiclink");
        now > issued_at.unwrap_or(self.created_at) + LIFETIME
    }

    pub(crate) fn is_verified_by(&self, verifier: &str) -> bool {
        self.pkce.as_ref().is_some_and(|pkce| pkce.is_verified_by(verifier))
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn debug_output_contains_no_code_and_no_challenge() {
        let text = "plain-challenge-that-is-its-own-verifier-0123";
        let challenge = Challenge { challenge: text.to_owned(), method: "plain".to_owned() };
        let auth_code = Uuid::from_u128(271_828);
        let before = format!("{challenge:?}");
        let flow = FlowState::new(Uuid::nil(), auth_code, "magiclink", challenge, UNIX_EPOCH);
        let shown = format!("{before} {:?}", flow.ok().unwrap());
        assert!(shown.contains("Pkce") && shown.contains("magiclink"), "{shown}");
        for secret in [text, &*auth_code.to_string()] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
