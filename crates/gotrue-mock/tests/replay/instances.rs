//! The settings of the recorded servers (the member `instances` of the recordings).

use std::{collections::BTreeMap, sync::LazyLock, time::Duration};

use gotrue_mock::{Options, Person, SessionLimits, Settings};

use crate::recording;

/// The people are read once, because the recordings are large.
static PEOPLE: LazyLock<BTreeMap<String, Person>> = LazyLock::new(recording::people);

/// The options of a mock that has the settings of this instance, at `address`.
pub(crate) fn options(instance: &str, address: &str) -> Options {
    let fixed = (1..100).map(|n| (format!("155501000{n:02}"), "123456".to_owned()));
    let settings = Settings {
        redirect_prefixes: vec!["https://app.example.com".to_owned()],
        fixed_codes: fixed.collect(),
        providers: vec!["github".to_owned(), "keycloak".to_owned()],
        people: PEOPLE.clone(),
        ..Settings::default()
    };
    let confirming =
        Settings { confirms_emails: false, confirms_phones: false, ..settings.clone() };
    let strict = Settings {
        password_length: 8,
        password_characters: vec![('a'..='z').collect(), ('0'..='9').collect()],
        requires_current_password: true,
        requires_reauthentication: true,
        confirms_both_addresses: false,
        sends_magic_links: false,
        ..confirming.clone()
    };
    let silent = Settings { sends_texts: false, ..settings };
    let options =
        |settings, issuer: String| Options { settings, issuer: Some(issuer), ..Options::default() };
    let issuer = format!("{address}/auth/v1");
    match instance {
        "sessions" => {
            let (timebox, inactivity) = (Duration::from_secs(5), Duration::from_secs(2));
            let sessions = SessionLimits {
                timebox: Some(timebox),
                inactivity: Some(inactivity),
                ..SessionLimits::default()
            };
            options(Settings { sessions, ..silent }, issuer)
        }
        "single" => {
            let low_aal = Some(Duration::from_secs(2));
            let sessions =
                SessionLimits { low_aal, single_per_user: true, ..SessionLimits::default() };
            options(Settings { sessions, ..silent }, issuer)
        }
        "confirm" | "limits" => options(confirming, issuer),
        "strict" => options(strict, issuer),
        "no-issuer" => options(silent, String::new()),
        "bare-issuer" => options(silent, address.to_owned()),
        _ => options(silent, issuer),
    }
}
