//! The mails and text messages that the mock would send. A test reads them and follows their links.

use std::fmt;

use serde::Serialize;

/// A mail or a text message, as `GET /mock/mails` shows it.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Mail {
    /// The address or the phone number.
    pub to: String,
    /// What it is for: `signup`, `magiclink`, `recovery`, `invite`, `email_change`, `reauthentication`; `sms` for a
    /// text message, `mfa` for one that is a second factor.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The code of six digits.
    pub token: String,
    /// The hash that stands in the link; `None` for a text message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_hash: Option<String>,
    /// The link; `None` for a text message, and for a mail that has only a code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
}

/// Shows the kind only: code, hash and link are credentials.
impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail").field("kind", &self.kind).finish_non_exhaustive()
    }
}
