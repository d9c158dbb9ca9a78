//! What GoTrue asks of a new password.

use super::error::GotrueError;

/// GoTrue's default minimum, and bcrypt's limit.
const LENGTH: std::ops::RangeInclusive<usize> = 6..=72;

/// Refuses a password that is too short or too long, in octets.
pub(super) fn check_strength(password: &str) -> Result<(), GotrueError> {
    if password.len() > *LENGTH.end() {
        let message = format!("Password cannot be longer than {} characters", LENGTH.end());
        return Err(GotrueError::bad_request("validation_failed", message));
    }
    if password.len() < *LENGTH.start() {
        let message = format!("Password should be at least {} characters.", LENGTH.start());
        return Err(GotrueError::unprocessable("weak_password", message));
    }
    Ok(())
}
