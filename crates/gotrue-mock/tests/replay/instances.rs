//! The settings of the recorded servers (the member `instances` of the recordings).

use std::{collections::BTreeMap, sync::LazyLock};

use gotrue_mock::{Options, Person, Settings};

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
    let silent = Settings { sends_texts: false, ..settings };
    let options =
        |settings, issuer: String| Options { settings, issuer: Some(issuer), ..Options::default() };
    let issuer = format!("{address}/auth/v1");
    match instance {
        "confirm" | "limits" => options(confirming, issuer),
        "no-issuer" => options(silent, String::new()),
        "bare-issuer" => options(silent, address.to_owned()),
        _ => options(silent, issuer),
    }
}
