//! The second factors of a user, and the level of a session that they ask for.

use std::time::SystemTime;

use uuid::Uuid;

use super::User;
use crate::{
    error::GotrueError,
    factor::Factor,
    session::{Aal, Session},
};

/// `GOTRUE_MFA_MAX_ENROLLED_FACTORS`.
const MAX_FACTORS: usize = 10;

impl User {
    /// The highest level that a session of this user can reach.
    pub(crate) fn highest_aal(&self) -> Aal {
        if self.factors.iter().any(|factor| factor.is_verified) { Aal::Two } else { Aal::One }
    }

    pub(crate) fn factor_mut(&mut self, id: Uuid) -> Option<&mut Factor> {
        self.factors.iter_mut().find(|factor| factor.id == id)
    }

    /// Makes the checks of GoTrue before a user gets one more factor, in the same order. Deletes
    /// the factors that have expired, as GoTrue does first.
    pub(crate) fn check_new_factor(
        &mut self,
        friendly_name: &str,
        session_aal: Aal,
        now: SystemTime,
    ) -> Result<(), GotrueError> {
        self.factors.retain(|factor| !factor.is_expired(now));
        if self.factors.iter().any(|factor| factor.friendly_name == friendly_name) {
            let message = format!(
                "A factor with the friendly name {friendly_name:?} for this user already exists"
            );
            return Err(GotrueError::unprocessable("mfa_factor_name_conflict", message));
        }
        if self.factors.len() >= MAX_FACTORS {
            let message = "Maximum number of verified factors reached, unenroll to continue";
            return Err(GotrueError::unprocessable("too_many_enrolled_mfa_factors", message));
        }
        if session_aal < self.highest_aal() {
            let message = "AAL2 required to enroll a new factor";
            return Err(GotrueError::forbidden("insufficient_aal", message));
        }
        Ok(())
    }

    /// Refuses a new password, address or number where the user has a verified factor and the
    /// session has not (recorded: `mfa-low-password`).
    pub(crate) fn check_credential_change(
        &self,
        session: Option<&Session>,
    ) -> Result<(), GotrueError> {
        let aal = session.map_or(Aal::One, |session| session.aal);
        if aal >= self.highest_aal() {
            return Ok(());
        }
        let message = "AAL2 session is required to update email or password when MFA is enabled.";
        Err(GotrueError::unauthorized("insufficient_aal", message))
    }
}
