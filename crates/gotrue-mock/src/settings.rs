//! The settings of a GoTrue server that change its answers, with GoTrue's own names in the comments.

mod providers;

use std::{collections::BTreeMap, fmt, time::Duration};

pub(crate) use providers::{PROVIDERS, UNLISTED_PROVIDERS};

use crate::{
    access_token_hook::AccessTokenHook, error::GotrueError, person::Person,
    session_limits::SessionLimits,
};

/// The settings. The defaults are those of a local project: every new user is confirmed at once.
#[derive(Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "GoTrue has a setting for each")]
pub struct Settings {
    /// Where links lead back to (`GOTRUE_SITE_URL`).
    pub site_url: String,
    /// Other addresses that links may lead to (`GOTRUE_URI_ALLOW_LIST`): each text allows every address that begins
    /// with it. The patterns of GoTrue, such as `https://*.example.com`, are no patterns here.
    pub redirect_prefixes: Vec<String>,
    /// Whether an e-mail address is confirmed without a mail (`GOTRUE_MAILER_AUTOCONFIRM`).
    pub confirms_emails: bool,
    /// Whether a phone number is confirmed without a text message (`GOTRUE_SMS_AUTOCONFIRM`).
    pub confirms_phones: bool,
    /// Whether text messages can be sent (`GOTRUE_HOOK_SEND_SMS_ENABLED`).
    pub sends_texts: bool,
    /// Phone numbers whose code is always the same, with this code (`GOTRUE_SMS_TEST_OTP`). A number has digits only,
    /// without the `+` at its beginning.
    pub fixed_codes: BTreeMap<String, String>,
    /// The identity providers that are enabled (`GOTRUE_EXTERNAL_<NAME>_ENABLED`).
    pub providers: Vec<String>,
    /// What the identity providers say about a person. The key is the parameter `code` of the callback with which the
    /// person comes back from the provider. A `code` that is no key and has an `@` is the e-mail address of a person.
    pub people: BTreeMap<String, Person>,
    /// How long the code of a mail is valid (`GOTRUE_MAILER_OTP_EXP`).
    pub code_lifetime: Duration,
    /// How long the code of a text message is valid (`GOTRUE_SMS_OTP_EXP`).
    pub text_code_lifetime: Duration,
    /// The least length of a password in bytes (`GOTRUE_PASSWORD_MIN_LENGTH`).
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
    /// Whether users may sign up: the opposite of `GOTRUE_DISABLE_SIGNUP`.
    pub allows_sign_ups: bool,
    /// Whether users may sign up and in by e-mail address (`GOTRUE_EXTERNAL_EMAIL_ENABLED`).
    pub allows_emails: bool,
    /// Whether users may sign up and in by phone number (`GOTRUE_EXTERNAL_PHONE_ENABLED`).
    pub allows_phones: bool,
    /// Whether users may sign up anonymously (`GOTRUE_EXTERNAL_ANONYMOUS_USERS_ENABLED`).
    pub allows_anonymous_users: bool,
    /// Whether users may link and unlink their identities (`GOTRUE_SECURITY_MANUAL_LINKING_ENABLED`).
    pub allows_manual_linking: bool,
    /// Features of GoTrue that are switched off. The mock has none of them: it answers a request for a feature that is
    /// not switched off with status 501.
    pub disabled: Vec<Feature>,
    /// Whether a preflight may name any header, as the API gateway in front of a hosted GoTrue allows. GoTrue itself
    /// has a list, which lacks `apikey` (recorded: `preflight-apikey`).
    pub allows_any_header: bool,
    /// The request header that names a client (`GOTRUE_RATE_LIMIT_HEADER`). Without it, no request limit applies.
    pub rate_limit_header: Option<String>,
    /// Sign-ups, codes and changes of a user that a client may request in five minutes, after a burst of 30
    /// (`GOTRUE_RATE_LIMIT_OTP`).
    pub codes_per_five_minutes: u32,
    /// Sign-ins and refreshes that a client may request in five minutes, after a burst of 30
    /// (`GOTRUE_RATE_LIMIT_TOKEN_REFRESH`).
    pub tokens_per_five_minutes: u32,
    /// Verifications that a client may request in five minutes, after a burst of 30 (`GOTRUE_RATE_LIMIT_VERIFY`).
    pub verifications_per_five_minutes: u32,
    /// Anonymous sign-ups that a client may request in an hour (`GOTRUE_RATE_LIMIT_ANONYMOUS_USERS`).
    pub anonymous_sign_ups_per_hour: u32,
    /// Challenges, and verifications, of second factors that a client may request in a minute, after a burst of 30
    /// (`GOTRUE_MFA_RATE_LIMIT_CHALLENGE_AND_VERIFY`).
    pub factor_requests_per_minute: u32,
    /// Mails that the server sends in an hour (`GOTRUE_RATE_LIMIT_EMAIL_SENT`); `None` for no limit.
    pub mails_per_hour: Option<u32>,
    /// Text messages that the server sends in an hour (`GOTRUE_RATE_LIMIT_SMS_SENT`); `None` for no limit.
    pub texts_per_hour: Option<u32>,
    /// The least time between two mails of one kind to a user (`GOTRUE_SMTP_MAX_FREQUENCY`).
    pub mail_interval: Duration,
    /// The least time between two text messages of one kind to a user (`GOTRUE_SMS_MAX_FREQUENCY`).
    pub text_interval: Duration,
    /// The least time between two text messages for a second factor (`GOTRUE_MFA_PHONE_MAX_FREQUENCY`).
    pub factor_text_interval: Duration,
    /// Changes the claims of access tokens.
    pub access_token_hook: Option<AccessTokenHook>,
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
            providers: PROVIDERS
                .iter()
                .chain(&UNLISTED_PROVIDERS)
                .map(ToString::to_string)
                .collect(),
            people: BTreeMap::new(),
            code_lifetime: Duration::from_hours(1),
            text_code_lifetime: Duration::from_mins(1),
            password_length: 6,
            password_characters: Vec::new(),
            requires_current_password: false,
            requires_reauthentication: false,
            confirms_both_addresses: true,
            sends_magic_links: true,
            sessions: SessionLimits::default(),
            factor_types: vec!["totp".to_owned(), "phone".to_owned()],
            allows_sign_ups: true,
            allows_emails: true,
            allows_phones: true,
            allows_anonymous_users: true,
            allows_manual_linking: true,
            disabled: Vec::new(),
            allows_any_header: true,
            rate_limit_header: None,
            codes_per_five_minutes: 30,
            tokens_per_five_minutes: 150,
            verifications_per_five_minutes: 30,
            anonymous_sign_ups_per_hour: 30,
            factor_requests_per_minute: 15,
            mails_per_hour: None,
            texts_per_hour: None,
            mail_interval: Duration::ZERO,
            text_interval: Duration::ZERO,
            factor_text_interval: Duration::ZERO,
            access_token_hook: None,
        }
    }
}

/// Shows one setting only: the others have codes of users, and people with their addresses.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("site_url", &self.site_url).finish_non_exhaustive()
    }
}

impl Settings {
    /// GoTrue's error where users may not sign up.
    pub(crate) fn check_sign_ups_allowed(&self) -> Result<(), GotrueError> {
        let message = "Signups not allowed for this instance";
        let refused = || GotrueError::unprocessable("signup_disabled", message);
        self.allows_sign_ups.then_some(()).ok_or_else(refused)
    }
}

/// A feature of GoTrue that the mock does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// The OAuth 2.1 server for other applications (`GOTRUE_OAUTH_SERVER_ENABLED`).
    OauthServer,
    /// Passkeys (`GOTRUE_PASSKEY_ENABLED`).
    Passkeys,
    /// Sign-in by SAML 2.0 (`GOTRUE_SAML_ENABLED`).
    Saml,
    /// Provisioning of users by SCIM.
    Scim,
    /// Sign-in with a wallet (`GOTRUE_EXTERNAL_WEB3_<CHAIN>_ENABLED`).
    Web3,
}

impl Feature {
    /// GoTrue's error for a request for this feature while it is switched off.
    pub(crate) fn disabled_error(self) -> GotrueError {
        let (code, message) = match self {
            Self::OauthServer => ("feature_disabled", "OAuth server is disabled"),
            Self::Passkeys => ("passkey_disabled", "Passkeys are disabled"),
            Self::Saml => ("saml_provider_disabled", "SAML 2.0 is disabled"),
            Self::Scim => ("feature_disabled", "SCIM server is disabled"),
            Self::Web3 => {
                // 422, because the endpoint has other grants (internal/api/web3.go).
                let message = "Web3 provider is disabled";
                return GotrueError::unprocessable("web3_provider_disabled", message);
            }
        };
        GotrueError::not_found(code, message)
    }
}
