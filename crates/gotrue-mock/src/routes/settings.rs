//! `GET /settings`: what the server allows.

use axum::{Json, extract::State};
use serde_json::{Map, Value, json};

use crate::{
    mock::Mock,
    settings::{Feature, PROVIDERS},
};

pub(crate) async fn settings(State(mock): State<Mock>) -> Json<Value> {
    let settings = mock.settings();
    let provider = |name: &&str| {
        let is_enabled = settings.providers.iter().any(|enabled| enabled == name);
        ((*name).to_owned(), json!(is_enabled))
    };
    let mut external: Map<String, Value> = PROVIDERS.iter().map(provider).collect();
    for (name, is_enabled) in [
        ("anonymous_users", settings.allows_anonymous_users),
        ("email", settings.allows_emails),
        ("phone", settings.allows_phones),
    ] {
        external.insert(name.to_owned(), json!(is_enabled));
    }
    Json(json!({
        "external": external,
        "disable_signup": !settings.allows_sign_ups,
        "mailer_autoconfirm": settings.confirms_emails,
        "phone_autoconfirm": settings.confirms_phones,
        "sms_provider": "",
        "saml_enabled": false,
        "saml_private_key_next_configured": true,
        "passkeys_enabled": !settings.disabled.contains(&Feature::Passkeys),
    }))
}
