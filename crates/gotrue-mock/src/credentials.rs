//! GoTrue's rules for the e-mail address and the password of a user.

use crate::{error::GotrueError, settings::Settings};

/// The longest password in bytes: the limit of bcrypt.
pub(crate) const LONGEST_PASSWORD: usize = 72;

/// The longest e-mail address, in bytes.
const MAX_EMAIL_LENGTH: usize = 255;

/// The longest label of a domain.
const LONGEST_LABEL: usize = 63;

/// Returns GoTrue's error for a password that is too short or too long.
pub(crate) fn check_password(password: &str, settings: &Settings) -> Result<(), GotrueError> {
    if password.len() > LONGEST_PASSWORD {
        let message = format!("Password cannot be longer than {LONGEST_PASSWORD} characters");
        return Err(GotrueError::bad_request("validation_failed", message));
    }
    match weakness(password, settings) {
        Some((message, reasons)) => Err(GotrueError::weak_password(message, reasons)),
        None => Ok(()),
    }
}

/// Why a password is weak: the message, and the reasons as GoTrue names them. `None` if it is not.
pub(crate) fn weakness(password: &str, settings: &Settings) -> Option<(String, Vec<&'static str>)> {
    let (mut messages, mut reasons) = (Vec::new(), Vec::new());
    let min = settings.password_length;
    if password.len() < min {
        messages.push(format!("Password should be at least {min} characters."));
        reasons.push("length");
    }
    let sets = &settings.password_characters;
    if sets.iter().any(|set| !password.contains(|letter| set.contains(letter))) {
        let sets = sets.join(", ");
        messages.push(format!("Password should contain at least one character of each: {sets}."));
        reasons.push("characters");
    }
    (!reasons.is_empty()).then(|| (messages.join(" "), reasons))
}

/// GoTrue's error for a way of sending text messages that it does not know. A hook that sends them takes any.
pub(crate) fn check_channel(channel: &str, settings: &Settings) -> Result<(), GotrueError> {
    if settings.sends_texts || matches!(channel, "" | "sms") {
        return Ok(());
    }
    let message = "Invalid channel, supported values are 'sms' or 'whatsapp'. 'whatsapp' is only supported if Twilio \
                   or Twilio Verify is used as the provider.";
    Err(GotrueError::bad_request("validation_failed", message))
}

/// Returns the phone number without `+` and spaces, as GoTrue stores it.
pub(crate) fn parse_phone(phone: &str) -> Result<String, GotrueError> {
    let phone = phone_digits(phone);
    let is_e164 = (2..=15).contains(&phone.len())
        && !phone.starts_with('0')
        && phone.bytes().all(|b| b.is_ascii_digit());
    let message = "Invalid phone number format (E.164 required)";
    is_e164.then_some(phone).ok_or_else(|| GotrueError::bad_request("validation_failed", message))
}

/// A phone number without `+` and spaces, whether it is valid or not.
pub(crate) fn phone_digits(phone: &str) -> String {
    phone.strip_prefix('+').unwrap_or(phone).replace(' ', "")
}

/// Returns the address in lower case, as GoTrue stores it.
pub(crate) fn parse_email(email: &str) -> Result<String, GotrueError> {
    if email.is_empty() {
        return Err(GotrueError::bad_request("validation_failed", "An email address is required"));
    }
    if email.len() > MAX_EMAIL_LENGTH {
        return Err(GotrueError::bad_request("validation_failed", "An email address is too long"));
    }
    if email
        .split_once('@')
        .is_some_and(|(local, domain)| is_local_part(local) && is_domain(domain))
    {
        return Ok(email.to_lowercase());
    }
    let message = "Unable to validate email address: invalid format";
    Err(GotrueError::bad_request("validation_failed", message))
}

/// The part before `@` in the pattern of the library `checkmail`, which GoTrue uses.
fn is_local_part(local: &str) -> bool {
    let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&b);
    !local.is_empty() && local.bytes().all(is_allowed)
}

/// The part after `@` in the same pattern: labels as in the names of hosts.
fn is_domain(domain: &str) -> bool {
    domain.split('.').all(|label| {
        let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        (1..=LONGEST_LABEL).contains(&label.len())
            && label.bytes().all(is_allowed)
            && !label.starts_with('-')
            && !label.ends_with('-')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_an_ascii_local_part_and_the_labels_of_a_host() {
        let long = |length| format!("a@{}.com", "b".repeat(length));
        let good = ["a@b", "A.!#$%&'*+/=?^_`{|}~-@b.co", ".a.@b-c.d", &long(63)];
        for email in good {
            assert!(
                parse_email(email).is_ok_and(|parsed| parsed == email.to_lowercase()),
                "{email}"
            );
        }
        let bad = [
            "a",
            "@b",
            "a@",
            "a@b@c",
            "a b@c",
            "ä@b",
            "\"a\"@b",
            "a@ä.com",
            "a@b..com",
            "a@.com",
            "a@b.",
            "a@-b",
            "a@b-",
            "a@b_c",
            "a@[127.0.0.1]",
            &long(64),
        ];
        for email in bad {
            assert!(parse_email(email).is_err(), "{email}");
        }
    }
}
