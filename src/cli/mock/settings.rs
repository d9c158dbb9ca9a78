//! The flags for the settings of GoTrue that a frontend's tests need. Their names are those of GoTrue or of the
//! configuration of the Supabase CLI.
//!
//! There is no flag for these settings, whose effect a test gets in another way:
//! - the rate limits by the client's address: a fault answers any request with 429 and the code
//!   `over_request_rate_limit`;
//! - the text messages that cannot be sent, and the access token hook: an error of the server, which a fault gives,
//!   too;
//! - the people behind the identity providers: the consent page takes any address;
//! - the features that the mock does not have, and GoTrue's own list of CORS headers, which no browser behind
//!   Supabase's API gateway meets.

use std::time::Duration;

use clap::ValueEnum;
use gotrue_mock::{SessionLimits, Settings};
use url::Url;

/// The flags. Each one changes a setting from its default, which is that of a local project.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Settings of GoTrue")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(super) struct SettingsArgs {
    /// Confirm new e-mail addresses and phone numbers by a code or a link instead of at once
    #[arg(long)]
    no_autoconfirm: bool,
    /// Where links lead back to [default: `http://127.0.0.1:3000`]
    #[arg(long, value_name = "URL", value_parser = url)]
    site_url: Option<String>,
    /// Prefix of another address that links may lead back to; can be repeated
    #[arg(long = "redirect-url", value_name = "URL", value_parser = url)]
    redirect_urls: Vec<String>,
    /// Lifetime of the codes and links in mails and text messages [default: 1h]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    otp_lifetime: Option<Duration>,
    /// Least time between two mails, or two text messages, of one kind to a user [default: 0s]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    max_frequency: Option<Duration>,
    /// Mails that can be sent in an hour [default: no limit]
    #[arg(long, value_name = "NUMBER")]
    email_rate_limit: Option<u32>,
    /// Text messages that can be sent in an hour [default: no limit]
    #[arg(long, value_name = "NUMBER")]
    sms_rate_limit: Option<u32>,
    /// Phone number whose code is always the same, such as 15550100001=123456; can be repeated
    #[arg(long = "test-otp", value_name = "PHONE=CODE", value_parser = test_otp)]
    test_otps: Vec<(String, String)>,
    /// Least length of a password in bytes [default: 6]
    #[arg(long, value_name = "NUMBER")]
    password_length: Option<usize>,
    /// Kinds of characters that a password needs
    #[arg(long, value_name = "KINDS")]
    password_requirements: Option<PasswordRequirements>,
    /// Require the current password for a new one
    #[arg(long)]
    require_current_password: bool,
    /// Require a code for a new password if the session is older than a day
    #[arg(long)]
    secure_password_change: bool,
    /// Let the new e-mail address alone confirm a change of address
    #[arg(long)]
    no_double_confirm_changes: bool,
    /// End the refreshing of a session this long after the sign-in
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    timebox: Option<Duration>,
    /// End the refreshing of a session this long after its last refresh
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    inactivity_timeout: Option<Duration>,
    /// End the refreshing of a session whose second factor is not verified this long after the sign-in
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    allow_low_aal: Option<Duration>,
    /// Refresh only the latest session of each user
    #[arg(long)]
    single_session: bool,
    /// Refuse sign-ups
    #[arg(long)]
    no_signup: bool,
    /// Refuse sign-ups and sign-ins by e-mail address
    #[arg(long)]
    no_email: bool,
    /// Refuse sign-ups and sign-ins by phone number
    #[arg(long)]
    no_phone: bool,
    /// Refuse anonymous sign-ups
    #[arg(long)]
    no_anonymous_users: bool,
    /// Refuse sign-ins by a mail with a link or a code
    #[arg(long)]
    no_magic_link: bool,
    /// Refuse to link and unlink identities
    #[arg(long)]
    no_manual_linking: bool,
    /// Refuse to enrol second factors
    #[arg(long)]
    no_mfa: bool,
    /// Enabled identity provider, such as github; can be repeated [default: all]
    #[arg(long = "provider", value_name = "NAME", value_parser = provider)]
    providers: Vec<String>,
}

/// The values of `--password-requirements`, which are those of the Supabase CLI's configuration.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
enum PasswordRequirements {
    /// Letters and digits
    LettersDigits,
    /// Lower case letters, upper case letters and digits
    LowerUpperLettersDigits,
    /// Lower case letters, upper case letters, digits and symbols
    LowerUpperLettersDigitsSymbols,
}

impl PasswordRequirements {
    /// The sets of characters of which a password needs one each, as Supabase sets
    /// `GOTRUE_PASSWORD_REQUIRED_CHARACTERS`.
    fn characters(self) -> Vec<String> {
        const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
        const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
        const DIGITS: &str = "0123456789";
        const SYMBOLS: &str = "!@#$%^&*()_+-=[]{};'\\:\"|<>?,./`~";
        match self {
            Self::LettersDigits => vec![format!("{LOWER}{UPPER}"), DIGITS.to_owned()],
            Self::LowerUpperLettersDigits => [LOWER, UPPER, DIGITS].map(str::to_owned).to_vec(),
            Self::LowerUpperLettersDigitsSymbols => {
                [LOWER, UPPER, DIGITS, SYMBOLS].map(str::to_owned).to_vec()
            }
        }
    }
}

/// Checks an absolute URL, and keeps it as it is written: GoTrue compares the text.
fn url(value: &str) -> Result<String, url::ParseError> {
    Url::parse(value).map(|_| value.to_owned())
}

fn provider(name: &str) -> Result<String, String> {
    let known = Settings::default().providers;
    if known.iter().any(|provider| provider == name) {
        return Ok(name.to_owned());
    }
    Err(format!("not a provider of GoTrue: {}", known.join(", ")))
}

/// Reads a phone number, which GoTrue stores without `+`, and its code.
fn test_otp(value: &str) -> Result<(String, String), &'static str> {
    let (phone, code) =
        value.split_once('=').ok_or("no `=` between the phone number and the code")?;
    Ok((phone.trim_start_matches('+').to_owned(), code.to_owned()))
}

impl SettingsArgs {
    pub(super) fn settings(&self) -> Settings {
        let default = Settings::default();
        let mut settings = Settings {
            redirect_prefixes: self.redirect_urls.clone(),
            confirms_emails: !self.no_autoconfirm,
            confirms_phones: !self.no_autoconfirm,
            fixed_codes: self.test_otps.iter().cloned().collect(),
            password_characters: self
                .password_requirements
                .map(PasswordRequirements::characters)
                .unwrap_or_default(),
            requires_current_password: self.require_current_password,
            requires_reauthentication: self.secure_password_change,
            confirms_both_addresses: !self.no_double_confirm_changes,
            sends_magic_links: !self.no_magic_link,
            sessions: self.session_limits(),
            allows_sign_ups: !self.no_signup,
            allows_emails: !self.no_email,
            allows_phones: !self.no_phone,
            allows_anonymous_users: !self.no_anonymous_users,
            allows_manual_linking: !self.no_manual_linking,
            mails_per_hour: self.email_rate_limit,
            texts_per_hour: self.sms_rate_limit,
            site_url: self.site_url.clone().unwrap_or(default.site_url),
            code_lifetime: self.otp_lifetime.unwrap_or(default.code_lifetime),
            password_length: self.password_length.unwrap_or(default.password_length),
            mail_interval: self.max_frequency.unwrap_or(default.mail_interval),
            text_interval: self.max_frequency.unwrap_or(default.text_interval),
            ..Settings::default()
        };
        if !self.providers.is_empty() {
            settings.providers.clone_from(&self.providers);
        }
        if self.no_mfa {
            settings.factor_types.clear();
        }
        settings
    }

    fn session_limits(&self) -> SessionLimits {
        SessionLimits {
            timebox: self.timebox,
            inactivity: self.inactivity_timeout,
            low_aal: self.allow_low_aal,
            single_per_user: self.single_session,
        }
    }
}

#[cfg(test)]
mod tests;
