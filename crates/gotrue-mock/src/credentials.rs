//! GoTrue's rules for the e-mail address and the password of a user.

use crate::error::GotrueError;

/// The allowed length of a password in bytes: from GoTrue's default minimum to the limit of bcrypt.
const PASSWORD_LENGTH: std::ops::RangeInclusive<usize> = 6..=72;

/// The longest e-mail address, in bytes.
const MAX_EMAIL_LENGTH: usize = 255;

/// Returns GoTrue's error for a password that is too short or too long.
pub(crate) fn check_password_length(password: &str) -> Result<(), GotrueError> {
    let (min, max) = (PASSWORD_LENGTH.start(), PASSWORD_LENGTH.end());
    if password.len() > *max {
        let message = format!("Password cannot be longer than {max} characters");
        return Err(GotrueError::bad_request("validation_failed", message));
    }
    if password.len() < *min {
        let message = format!("Password should be at least {min} characters.");
        return Err(GotrueError::unprocessable("weak_password", message));
    }
    Ok(())
}

/// Returns the address in lower case, as GoTrue stores it.
pub(crate) fn parse_email(email: &str) -> Result<String, GotrueError> {
    let is_plausible = email.len() <= MAX_EMAIL_LENGTH
        && !email.contains(char::is_whitespace)
        && email.split_once('@').is_some_and(|(local, domain)| {
            !local.is_empty() && !domain.is_empty() && !domain.contains('@')
        });
    if is_plausible {
        return Ok(email.to_lowercase());
    }
    let message = "Unable to validate email address: invalid format";
    Err(GotrueError::bad_request("validation_failed", message))
}
