//! Second factors: one row of `auth.mfa_factors` each, with its challenges.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{clock::timestamp, error::GotrueError, totp};

/// `GOTRUE_MFA_CHALLENGE_EXPIRY_DURATION`: how long a challenge can be verified.
const CHALLENGE_LIFETIME: Duration = Duration::from_mins(5);

/// The age at which GoTrue's clean-up deletes a challenge.
const CHALLENGE_CLEANUP_AGE: Duration = Duration::from_hours(24);

/// `GOTRUE_MFA_FACTOR_EXPIRY_DURATION`: how long an unverified factor without a challenge exists.
const FACTOR_LIFETIME: Duration = Duration::from_mins(5);

/// A second factor of a user.
#[derive(Clone, Debug)]
pub(crate) struct Factor {
    pub(crate) id: Uuid,
    pub(crate) friendly_name: String,
    pub(crate) kind: FactorKind,
    pub(crate) is_verified: bool,
    created_at: SystemTime,
    updated_at: SystemTime,
    pub(crate) last_challenged_at: Option<SystemTime>,
    challenges: Vec<Challenge>,
}

/// What a factor is, and what its codes are made of.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum FactorKind {
    /// An authenticator app with this secret, in base32.
    Totp { secret: String },
    /// Text messages to this number: digits only.
    Phone { phone: String },
}

#[derive(Clone)]
struct Challenge {
    id: Uuid,
    /// The code of the text message; `None` for an authenticator app.
    code: Option<String>,
    created_at: SystemTime,
    is_verified: bool,
}

/// Shows the type only: the secret makes codes, and the phone number belongs to a person.
impl fmt::Debug for FactorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(self.name()).finish_non_exhaustive()
    }
}

/// Leaves the code out.
impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Challenge").field("id", &self.id).finish_non_exhaustive()
    }
}

impl FactorKind {
    /// The member `factor_type`.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Totp { .. } => "totp",
            Self::Phone { .. } => "phone",
        }
    }

    /// The method in the `amr` claim.
    pub(crate) fn authentication_method(&self) -> &'static str {
        match self {
            Self::Totp { .. } => "totp",
            Self::Phone { .. } => "mfa/phone",
        }
    }

    fn phone(&self) -> &str {
        match self {
            Self::Totp { .. } => "",
            Self::Phone { phone } => phone,
        }
    }
}

impl Factor {
    pub(crate) fn new(id: Uuid, friendly_name: &str, kind: FactorKind, now: SystemTime) -> Self {
        Self {
            id,
            friendly_name: friendly_name.to_owned(),
            kind,
            is_verified: false,
            created_at: now,
            updated_at: now,
            last_challenged_at: None,
            challenges: Vec::new(),
        }
    }

    /// The member `status`.
    pub(crate) fn status(&self) -> &'static str {
        if self.is_verified { "verified" } else { "unverified" }
    }

    /// The factor object in responses.
    pub(crate) fn to_json(&self) -> Value {
        let mut factor = json!({
            "id": self.id,
            "created_at": timestamp(self.created_at),
            "updated_at": timestamp(self.updated_at),
            "status": self.status(),
            "factor_type": self.kind.name(),
            "phone": self.kind.phone(),
            "last_challenged_at": self.last_challenged_at.map(timestamp),
        });
        if let Some(members) = factor.as_object_mut().filter(|_| !self.friendly_name.is_empty()) {
            members.insert("friendly_name".to_owned(), json!(self.friendly_name));
        }
        factor
    }

    /// Adds a challenge, and purges old ones. Returns the time at which it expires.
    pub(crate) fn challenge(
        &mut self,
        id: Uuid,
        code: Option<String>,
        now: SystemTime,
    ) -> SystemTime {
        self.last_challenged_at = Some(now);
        self.challenges.retain(|known| now <= known.created_at + CHALLENGE_CLEANUP_AGE);
        self.challenges.push(Challenge { id, code, created_at: now, is_verified: false });
        now + CHALLENGE_LIFETIME
    }

    /// Checks the code for a challenge. Deletes the challenge if it has expired.
    pub(crate) fn check(
        &mut self,
        challenge: Uuid,
        code: &str,
        now: SystemTime,
    ) -> Result<(), GotrueError> {
        let position = self.challenges.iter().position(|known| known.id == challenge);
        let not_found = || {
            let message = "MFA factor with the provided challenge ID not found";
            GotrueError::unprocessable("mfa_factor_not_found", message)
        };
        let index = position.ok_or_else(not_found)?;
        let found = self.challenges.get(index).ok_or_else(not_found)?;
        // GoTrue has one error for a used challenge and for another address (recorded:
        // `mfa-verify-used`).
        if found.is_verified {
            let message = "Challenge and verify IP addresses mismatch.";
            return Err(GotrueError::unprocessable("mfa_ip_address_mismatch", message));
        }
        if now > found.created_at + CHALLENGE_LIFETIME {
            self.challenges.remove(index);
            let message = format!(
                "MFA challenge {challenge} has expired, verify against another challenge or \
                 create a new challenge."
            );
            return Err(GotrueError::unprocessable("mfa_challenge_expired", message));
        }
        let (is_valid, message) = match &self.kind {
            FactorKind::Totp { secret } => {
                (totp::is_valid(secret, code, now), "Invalid TOTP code entered")
            }
            FactorKind::Phone { .. } => {
                (found.code.as_deref() == Some(code), "Invalid MFA Phone code entered")
            }
        };
        if is_valid {
            return Ok(());
        }
        Err(GotrueError::unprocessable("mfa_verification_failed", message))
    }

    /// Uses a challenge up, and marks the factor as verified.
    pub(crate) fn accept(&mut self, challenge: Uuid, now: SystemTime) {
        for known in self.challenges.iter_mut().filter(|known| known.id == challenge) {
            known.is_verified = true;
        }
        if !self.is_verified {
            (self.is_verified, self.updated_at) = (true, now);
        }
    }

    /// Whether GoTrue deletes the factor when the user enrols another.
    pub(crate) fn is_expired(&self, now: SystemTime) -> bool {
        !self.is_verified && self.challenges.is_empty() && now > self.created_at + FACTOR_LIFETIME
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn debug_output_contains_no_secret_and_no_code() {
        let totp = FactorKind::Totp { secret: "JBSWY3DPEHPK3PXP".to_owned() };
        let phone = FactorKind::Phone { phone: "4912345".to_owned() };
        for kind in [totp, phone] {
            let name = kind.name();
            let mut factor = Factor::new(Uuid::nil(), "", kind, UNIX_EPOCH);
            factor.challenge(Uuid::nil(), Some("271828".to_owned()), UNIX_EPOCH);
            let shown = format!("{factor:?}");
            assert!(shown.contains(name) && shown.contains("Challenge"), "{shown}");
            for secret in ["JBSWY3DPEHPK3PXP", "4912345", "271828"] {
                assert!(!shown.contains(secret), "{shown}");
            }
        }
    }

    #[test]
    fn a_challenge_is_purged_after_a_day() {
        let kind = FactorKind::Phone { phone: "4912345".to_owned() };
        let mut factor = Factor::new(Uuid::nil(), "", kind, UNIX_EPOCH);
        let mut challenge = |hours| {
            factor.challenge(Uuid::nil(), None, UNIX_EPOCH + Duration::from_hours(hours));
            factor.challenges.len()
        };
        assert_eq!([challenge(0), challenge(1), challenge(24), challenge(25)], [1, 2, 3, 3]);
    }
}
