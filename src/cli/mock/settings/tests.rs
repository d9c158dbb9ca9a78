//! Tests that each flag changes its setting and no other one.

use clap::{Args as _, Command, FromArgMatches as _};

use super::*;

/// A change of the default settings.
type Change = fn(&mut Settings);

const MINUTE: Duration = Duration::from_mins(1);

/// The arguments, and what they change.
const FLAGS: &[(&[&str], Change)] = &[
    (&["--no-autoconfirm"], |settings| {
        settings.confirms_emails = false;
        settings.confirms_phones = false;
    }),
    (&["--site-url", "http://site.test"], |settings| {
        "http://site.test".clone_into(&mut settings.site_url);
    }),
    (&["--redirect-url", "http://a.test", "--redirect-url", "app://b/"], |settings| {
        settings.redirect_prefixes = vec!["http://a.test".to_owned(), "app://b/".to_owned()];
    }),
    (&["--otp-lifetime", "1m"], |settings| settings.code_lifetime = MINUTE),
    (&["--max-frequency", "1m"], |settings| {
        settings.mail_interval = MINUTE;
        settings.text_interval = MINUTE;
    }),
    (&["--email-rate-limit", "2"], |settings| settings.mails_per_hour = Some(2)),
    (&["--sms-rate-limit", "2"], |settings| settings.texts_per_hour = Some(2)),
    (&["--test-otp", "+15550100001=123456"], |settings| {
        settings.fixed_codes.insert("15550100001".to_owned(), "123456".to_owned());
    }),
    (&["--password-length", "8"], |settings| settings.password_length = 8),
    (&["--password-requirements", "letters_digits"], |settings| {
        let letters = ('a'..='z').chain('A'..='Z').collect();
        settings.password_characters = vec![letters, "0123456789".to_owned()];
    }),
    (&["--require-current-password"], |settings| settings.requires_current_password = true),
    (&["--secure-password-change"], |settings| settings.requires_reauthentication = true),
    (&["--no-double-confirm-changes"], |settings| settings.confirms_both_addresses = false),
    (&["--timebox", "1m"], |settings| settings.sessions.timebox = Some(MINUTE)),
    (&["--inactivity-timeout", "1m"], |settings| settings.sessions.inactivity = Some(MINUTE)),
    (&["--allow-low-aal", "1m"], |settings| settings.sessions.low_aal = Some(MINUTE)),
    (&["--single-session"], |settings| settings.sessions.single_per_user = true),
    (&["--no-signup"], |settings| settings.allows_sign_ups = false),
    (&["--no-email"], |settings| settings.allows_emails = false),
    (&["--no-phone"], |settings| settings.allows_phones = false),
    (&["--no-anonymous-users"], |settings| settings.allows_anonymous_users = false),
    (&["--no-magic-link"], |settings| settings.sends_magic_links = false),
    (&["--no-manual-linking"], |settings| settings.allows_manual_linking = false),
    (&["--no-mfa"], |settings| settings.factor_types.clear()),
    (&["--provider", "github", "--provider", "google"], |settings| {
        settings.providers = vec!["github".to_owned(), "google".to_owned()];
    }),
];

fn command() -> Command {
    SettingsArgs::augment_args(Command::new("mock"))
}

fn parse(args: &[&str]) -> Settings {
    let matches = command().try_get_matches_from([&["mock"], args].concat()).unwrap();
    SettingsArgs::from_arg_matches(&matches).unwrap().settings()
}

#[test]
fn each_flag_changes_its_setting_alone() {
    for (args, change) in FLAGS {
        let mut expected = Settings::default();
        change(&mut expected);
        assert!(parse(args) == expected, "{args:?}");
    }
}

#[test]
fn every_flag_is_tested() {
    for flag in command().get_arguments().filter_map(clap::Arg::get_long) {
        let flag = format!("--{flag}");
        assert!(FLAGS.iter().any(|(args, _)| args.contains(&flag.as_str())), "{flag}");
    }
}

#[test]
fn without_flags_the_settings_are_those_of_a_local_project() {
    assert!(parse(&[]) == Settings::default());
}
