//! The settings of a GoTrue server that change its answers, with GoTrue's own names in the comments.

use std::{collections::BTreeMap, time::Duration};

use crate::{person::Person, routes::settings::PROVIDERS, session_limits::SessionLimits};

/// The settings. The defaults are those of a local project: every new user is confirmed at once.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "GoTrue has a switch for each")]
pub struct Settings {
    /// Where links lead back to (`GOTRUE_SITE_URL`).
    pub site_url: String,
    /// Prefixes of other addresses that links may lead to (`GOTRUE_URI_ALLOW_LIST`).
    pub redirect_prefixes: Vec<String>,
    /// Whether an e-mail address is confirmed without a mail (`GOTRUE_MAILER_AUTOCONFIRM`).
    pub confirms_emails: bool,
    /// Whether a phone number is confirmed without a text message (`GOTRUE_SMS_AUTOCONFIRM`).
    pub confirms_phones: bool,
    /// Whether text messages can be sent (`GOTRUE_HOOK_SEND_SMS_ENABLED`).
    pub sends_texts: bool,
    /// Phone numbers with a fixed code (`GOTRUE_SMS_TEST_OTP`).
    pub fixed_codes: BTreeMap<String, String>,
    /// The identity providers that are enabled (`GOTRUE_EXTERNAL_<NAME>_ENABLED`).
    pub providers: Vec<String>,
    /// What the identity providers say, by the code with which a person comes back from them. An e-mail address is a code,
    /// too, for a person who has this address.
    pub people: BTreeMap<String, Person>,
    /// How long a code is valid (`GOTRUE_MAILER_OTP_EXP`).
    pub code_lifetime: Duration,
    /// The least length of a password (`GOTRUE_PASSWORD_MIN_LENGTH`).
    pub password_length: usize,
    /// Sets of characters; a password needs one of each (`GOTRUE_PASSWORD_REQUIRED_CHARACTERS`).
    pub password_characters: Vec<String>,
    /// Whether a user must give the current password to set a new one
    /// (`GOTRUE_SECURITY_UPDATE_PASSWORD_REQUIRE_CURRENT_PASSWORD`).
    pub requires_current_password: bool,
    /// Whether a user needs a code to set a new password if the session is older than a day
    /// (`GOTRUE_SECURITY_UPDATE_PASSWORD_REQUIRE_REAUTHENTICATION`).
    pub requires_reauthentication: bool,
    /// Whether the current and the new address must both confirm a new e-mail address
    /// (`GOTRUE_MAILER_SECURE_EMAIL_CHANGE_ENABLED`).
    pub confirms_both_addresses: bool,
    /// Whether users may sign in by a mail (`GOTRUE_EXTERNAL_EMAIL_MAGIC_LINK_ENABLED`).
    pub sends_magic_links: bool,
    /// How long sessions are refreshed.
    pub sessions: SessionLimits,
    /// The types of second factors that users can enrol, `totp` and `phone` (`GOTRUE_MFA_<TYPE>_ENROLL_ENABLED`).
    pub factor_types: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            site_url: "http://127.0.0.1:3000".to_owned(),
            redirect_prefixes: Vec::new(),
            confirms_emails: true,
            confirms_phones: true,
            sends_texts: true,
            fixed_codes: BTreeMap::new(),
            providers: PROVIDERS.map(str::to_owned).to_vec(),
            people: BTreeMap::new(),
            code_lifetime: Duration::from_hours(1),
            password_length: 6,
            password_characters: Vec::new(),
            requires_current_password: false,
            requires_reauthentication: false,
            confirms_both_addresses: true,
            sends_magic_links: true,
            sessions: SessionLimits::default(),
            factor_types: vec!["totp".to_owned(), "phone".to_owned()],
        }
    }
}
