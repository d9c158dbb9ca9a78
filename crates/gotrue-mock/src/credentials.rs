//! GoTrue's rules for e-mail addresses, phone numbers, passwords and message channels.

use crate::{error::GotrueError, settings::Settings};

/// The longest password in bytes: the limit of bcrypt.
pub(crate) const LONGEST_PASSWORD: usize = 72;

/// The length of the password that GoTrue invents for a user who signs up by a code.
const PASSWORD_LENGTH: usize = 33;

/// The longest e-mail address, in bytes.
const MAX_EMAIL_LENGTH: usize = 255;

/// Returns GoTrue's error for a password that is too long or weak.
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

/// The channel of a text message, which is `sms` unless the client names another.
pub(crate) fn channel_name(channel: &str) -> String {
    if channel.is_empty() { "sms".to_owned() } else { channel.to_owned() }
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
    if is_email(email) {
        return Ok(email.to_lowercase());
    }
    let message = "Unable to validate email address: invalid format";
    Err(GotrueError::bad_request("validation_failed", message))
}

/// A random password, for a user who has not chosen one.
pub(crate) fn new_password(rng: &mut fastrand::Rng) -> String {
    (0..PASSWORD_LENGTH).map(|_| rng.alphanumeric()).collect()
}

/// Whether the address is a valid e-mail address of the HTML Standard, which is GoTrue's rule. The domain needs no dot.
fn is_email(email: &str) -> bool {
    let is_local =
        |byte: u8| byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&byte);
    email.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && local.bytes().all(is_local) && domain.split('.').all(is_domain_label)
    })
}

/// Whether the text is a label of a domain (RFC 1034, section 3.5, with the first character of RFC 1123, section 2.1).
fn is_domain_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_html_standard_are_accepted_in_lower_case() {
        let longest_label = "a".repeat(63);
        for email in [
            "Ada@Example.com",
            "ada+tag@example.com",
            ".!#$%&'*+/=?^_`{|}~-@example.com",
            "ada@localhost",
            "ada@1.example-2.com",
            &format!("ada@{longest_label}.com"),
        ] {
            assert_eq!(parse_email(email).ok(), Some(email.to_lowercase()), "{email}");
        }
    }

    #[test]
    fn other_addresses_are_refused() {
        let long_label = "a".repeat(64);
        for email in [
            "ada",
            "@example.com",
            "ada@",
            "ada@example@com",
            "xx:;x@x.x",
            "a,b@example.com",
            "<ada@example.com>",
            "ada lovelace@example.com",
            " ada@example.com",
            "ada@example.com\n",
            "ada@exa mple.com",
            "ädä@example.com",
            "ada@exämple.com",
            "ada@exa_mple.com",
            "ada@.example.com",
            "ada@example..com",
            "ada@example.com.",
            "ada@-example.com",
            "ada@example-.com",
            &format!("ada@{long_label}.com"),
        ] {
            assert!(parse_email(email).is_err(), "{email}");
        }
    }
}
