//! The settings of the recorded servers (the member `instances` of the recordings).

use std::{collections::BTreeMap, sync::LazyLock, time::Duration};

use gotrue_mock::{AccessTokenHook, Feature, Options, Person, SessionLimits, Settings};
use serde_json::{Value, json};

use crate::recording;

/// The people are read once, because the recordings are large.
static PEOPLE: LazyLock<BTreeMap<String, Person>> = LazyLock::new(recording::people);

/// The options of a mock that has the settings of this instance, at `address`.
pub(crate) fn options(instance: &str, address: &str) -> Options {
    let settings = common();
    let confirming =
        Settings { confirms_emails: false, confirms_phones: false, ..settings.clone() };
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
        "confirm" => options(confirming, issuer),
        "limits" => options(limiting(confirming), issuer),
        "strict" => options(strict(confirming), issuer),
        "no-issuer" => options(silent, String::new()),
        "bare-issuer" => options(silent, address.to_owned()),
        "hook" => {
            let access_token_hook = Some(AccessTokenHook::new(HOOK_URI, change_claims));
            options(Settings { access_token_hook, ..silent }, issuer)
        }
        "disabled" => options(switched_off(silent), issuer),
        "oauth-server" => options(Settings { disabled: Vec::new(), ..silent }, issuer),
        _ => options(silent, issuer),
    }
}

/// The settings that the recorded servers have in common.
fn common() -> Settings {
    let fixed = (1..100).map(|n| (format!("155501000{n:02}"), "123456".to_owned()));
    Settings {
        redirect_prefixes: vec!["https://app.example.com".to_owned()],
        fixed_codes: fixed.collect(),
        providers: vec!["github".to_owned(), "keycloak".to_owned()],
        people: PEOPLE.clone(),
        disabled: vec![Feature::OauthServer, Feature::Saml, Feature::Scim],
        allows_any_header: false,
        ..Settings::default()
    }
}

/// The settings of the recorded server `strict`.
fn strict(settings: Settings) -> Settings {
    Settings {
        password_length: 8,
        password_characters: vec![('a'..='z').collect(), ('0'..='9').collect()],
        requires_current_password: true,
        requires_reauthentication: true,
        confirms_both_addresses: false,
        sends_magic_links: false,
        ..settings
    }
}

/// The settings of the recorded server `disabled`.
fn switched_off(settings: Settings) -> Settings {
    Settings {
        allows_sign_ups: false,
        allows_emails: false,
        allows_phones: false,
        allows_anonymous_users: false,
        allows_manual_linking: false,
        confirms_phones: false,
        providers: Vec::new(),
        factor_types: Vec::new(),
        disabled: vec![Feature::OauthServer, Feature::Passkeys, Feature::Saml, Feature::Scim],
        ..settings
    }
}

/// The settings of the recorded server `limits`.
fn limiting(settings: Settings) -> Settings {
    Settings {
        rate_limit_header: Some("x-forwarded-for".to_owned()),
        codes_per_five_minutes: 1,
        tokens_per_five_minutes: 1,
        verifications_per_five_minutes: 1,
        anonymous_sign_ups_per_hour: 2,
        mails_per_hour: Some(3),
        texts_per_hour: Some(2),
        mail_interval: Duration::from_mins(1),
        text_interval: Duration::from_mins(1),
        ..settings
    }
}

/// The address of the hook of the recorded server `hook`.
const HOOK_URI: &str = "pg-functions://postgres/auth/rec_claims";

/// The hook of the recorded server `hook`. The part of the address before `@` chooses what the hook does.
fn change_claims(event: &Value) -> Option<Value> {
    let email = event["claims"]["email"].as_str().unwrap_or_default();
    match email.split('@').next().unwrap_or_default() {
        "refused" => Some(json!({ "error": { "http_code": 403, "message": "Not today" } })),
        "nothing" => Some(json!({})),
        "raises" => None,
        "broken" => {
            let mut claims = event["claims"].clone();
            claims.as_object_mut().unwrap().remove("role");
            Some(json!({ "claims": claims }))
        }
        _ => {
            let mut claims = event["claims"].clone();
            claims["tenant"] = json!("example");
            claims["method"] = event["authentication_method"].clone();
            claims["app_metadata"]["plan"] = json!("pro");
            Some(json!({ "claims": claims }))
        }
    }
}
