//! The entries that requests of users leave.

use axum::http::Method;
use gotrue_mock::{Settings, totp_code};
use rstest::rstest;
use serde_json::{Value, json};

use super::{EMAIL, PHONE, actions, actions_and_traits, entries, sign_up, start};
use crate::harness::PASSWORD;

const CHALLENGE: &str = "a-challenge-of-43-characters-or-more-as-it-has-to-be";

#[rstest]
#[case::local("scope=local")]
#[case::every_device("")]
#[tokio::test]
async fn a_sign_up_a_refresh_and_a_logout_leave_their_entries(#[case] scope: &str) {
    let mock = start(Settings::default()).await;
    let session = sign_up(&mock, json!({"email": EMAIL, "password": PASSWORD})).await;
    let refresh_token = session["refresh_token"].as_str().unwrap();
    let refreshed = mock.refresh(refresh_token).await.json();
    mock.refresh(refresh_token).await;
    let token = refreshed["access_token"].as_str().unwrap();
    mock.send_with_token(Method::POST, "/auth/v1/logout?scope=unknown", token, None).await;
    mock.send_with_token(Method::POST, &format!("/auth/v1/logout?{scope}"), token, None).await;
    let provider = json!({"provider": "email"});
    let expected = [
        ("logout", Value::Null),
        // The parent of the active token brings that token, and none is revoked.
        ("token_refreshed", Value::Null),
        ("token_revoked", Value::Null),
        ("token_refreshed", Value::Null),
        ("login", provider.clone()),
        ("user_signedup", provider),
    ];
    let expected = expected.map(|(action, traits)| (json!(action), traits));
    assert_eq!(actions_and_traits(&mock).await, expected);
    let newest = entries(&mock, "per_page=1").await.remove(0);
    assert_eq!(newest["ip_address"], "");
    let payload = json!({
        "action": "logout", "actor_id": session["user"]["id"], "actor_username": EMAIL,
        "actor_via_sso": false, "log_type": "account",
    });
    assert_eq!(newest["payload"], payload);
}

#[tokio::test]
async fn an_entry_names_the_user_by_the_phone_number_and_the_full_name() {
    let mock = start(Settings::default()).await;
    let data = json!({"full_name": "Ann Example"});
    sign_up(&mock, json!({"phone": PHONE, "password": PASSWORD, "data": data})).await;
    let signed_up = &entries(&mock, "query=action:user_signedup").await[0]["payload"];
    assert_eq!(signed_up["actor_username"], PHONE);
    assert_eq!(signed_up["actor_name"], "Ann Example");
    assert_eq!(signed_up["traits"], json!({"provider": "phone", "channel": "sms"}));
}

#[tokio::test]
async fn messages_and_their_codes_leave_their_entries() {
    let mock = start(Settings { confirms_emails: false, ..Settings::default() }).await;
    let new = json!({"email": EMAIL, "password": PASSWORD});
    sign_up(&mock, new.clone()).await;
    mock.post("/auth/v1/resend", json!({"email": EMAIL, "type": "signup"})).await;
    let token = mock.mock.mails().pop().unwrap().token;
    let code = json!({"email": EMAIL, "token": token, "type": "signup"});
    let session = mock.post("/auth/v1/verify", code).await.json();
    mock.post("/auth/v1/recover", json!({"email": EMAIL})).await;
    let token = mock.mock.mails().pop().unwrap().token;
    let code = json!({"email": EMAIL, "token": token, "type": "recovery"});
    mock.post("/auth/v1/verify", code).await;
    let repeated = mock.post("/auth/v1/signup", new).await;
    assert_eq!(repeated.code(), "user_already_exists");
    let token = session["access_token"].as_str().unwrap();
    mock.send_with_token(Method::GET, "/auth/v1/reauthenticate", token, None).await;
    let expected = [
        "user_reauthenticate_requested",
        "user_repeated_signup",
        "login",
        "user_recovery_requested",
        "user_signedup",
        "user_confirmation_requested",
        "user_confirmation_requested",
    ];
    assert_eq!(actions(&mock).await, expected);
}

#[tokio::test]
async fn the_exchange_of_a_code_names_what_the_sign_in_began_with() {
    let mock = start(Settings { confirms_emails: false, ..Settings::default() }).await;
    let pkce = json!({
        "email": EMAIL, "password": PASSWORD,
        "code_challenge": CHALLENGE, "code_challenge_method": "plain",
    });
    for (path, expected) in [("signup", "email"), ("otp", "magiclink"), ("recover", "recovery")] {
        mock.post(&format!("/auth/v1/{path}"), pkce.clone()).await;
        let link = mock.mock.mails().pop().unwrap().link.unwrap();
        let back = mock.get(link.strip_prefix(mock.mock.url()).unwrap()).await;
        let code = back.header("location").unwrap().split("code=").nth(1).unwrap();
        let grant = json!({"auth_code": code, "code_verifier": CHALLENGE});
        mock.post("/auth/v1/token?grant_type=pkce", grant).await;
        let (action, traits) = actions_and_traits(&mock).await.remove(0);
        assert_eq!((action, traits), (json!("login"), json!({"provider_type": expected})));
    }
}

#[tokio::test]
async fn a_new_password_and_a_new_address_leave_their_entries() {
    let mock = start(Settings::default()).await;
    let user = mock.mock.create_user(EMAIL, PASSWORD);
    let token = mock.mock.sign_in(user).unwrap().access_token;
    let update = Some(json!({"password": "another-password", "phone": PHONE}));
    mock.send_with_token(Method::PUT, "/auth/v1/user", &token, update).await;
    let mut actors = Vec::new();
    for entry in entries(&mock, "").await {
        actors
            .push((entry["payload"]["action"].clone(), entry["payload"]["actor_username"].clone()));
    }
    // The number is confirmed at once, which has an entry of its own.
    let expected =
        [("user_modified", PHONE), ("user_modified", EMAIL), ("user_updated_password", EMAIL)];
    assert_eq!(actors, expected.map(|(action, actor)| (json!(action), json!(actor))));
}

#[tokio::test]
async fn the_entries_of_a_second_factor_have_the_address_of_the_client() {
    let mock = start(Settings::default()).await;
    let session = mock.sign_up();
    let authorization = format!("Bearer {}", session.access_token);
    let send = async |method: Method, path: &str, forwarded: &str, body: Value| {
        let headers = [("authorization", &*authorization), ("x-forwarded-for", forwarded)];
        let path = format!("/auth/v1/factors{path}");
        mock.send(method, &path, &headers, Some(body.to_string())).await.json()
    };
    let factor = send(Method::POST, "", "", json!({"factor_type": "totp"})).await;
    let path = format!("/{}", factor["id"].as_str().unwrap());
    let challenge = format!("{path}/challenge");
    let challenge =
        send(Method::POST, &challenge, "unknown, 192.0.2.1, 192.0.2.2", json!({})).await;
    let code = totp_code(factor["totp"]["secret"].as_str().unwrap(), mock.mock.now()).unwrap();
    let body = json!({"challenge_id": challenge["id"], "code": code});
    send(Method::POST, &format!("{path}/verify"), "::ffff:192.0.2.3", body).await;
    send(Method::DELETE, &path, "2001:DB8::1", json!({})).await;
    let (factor, challenge) = (&factor["id"], &challenge["id"]);
    let id = session.session_id;
    let status = "verified";
    let expected = [
        ("2001:db8::1", json!({"factor_id": factor, "factor_status": status, "session_id": id})),
        ("", Value::Null),
        (
            "192.0.2.3",
            json!({"factor_id": factor, "challenge_id": challenge, "factor_type": "totp"}),
        ),
        ("192.0.2.1", json!({"factor_id": factor, "factor_status": "unverified"})),
        ("127.0.0.1", json!({"factor_id": factor})),
    ];
    let entries = entries(&mock, "").await;
    let address_and_traits =
        |entry: &Value| (entry["ip_address"].clone(), entry["payload"]["traits"].clone());
    let found: Vec<_> = entries.iter().map(address_and_traits).collect();
    assert_eq!(found, expected.map(|(address, traits)| (json!(address), traits)));
    let expected = [
        "factor_unenrolled",
        "token_revoked",
        "verification_attempted",
        "challenge_created",
        "factor_in_progress",
    ];
    assert_eq!(actions(&mock).await, expected);
}

#[tokio::test]
async fn identities_that_are_linked_and_unlinked_leave_their_entries() {
    let mock = start(Settings::default()).await;
    let user = mock.mock.create_user(EMAIL, PASSWORD);
    let callback = mock.get(&format!("/auth/v1/authorize?provider=google&user={EMAIL}")).await;
    let callback = callback.header("location").unwrap().strip_prefix(mock.mock.url()).unwrap();
    mock.get(callback).await;
    let token = mock.mock.sign_in(user).unwrap().access_token;
    let shown = mock.send_with_token(Method::GET, "/auth/v1/user", &token, None).await.json();
    let identity = &shown["identities"][1];
    let id = identity["identity_id"].as_str().unwrap();
    let path = format!("/auth/v1/user/identities/{id}");
    mock.send_with_token(Method::DELETE, &path, &token, None).await;
    let traits = json!({"identity_id": id, "provider": "google", "provider_id": identity["id"]});
    let expected = [
        ("identity_unlinked", traits.clone()),
        ("login", json!({"provider": "google"})),
        ("identity_linked", traits),
    ];
    assert_eq!(
        actions_and_traits(&mock).await,
        expected.map(|(action, traits)| (json!(action), traits))
    );
    assert_eq!(entries(&mock, "query=action:linked").await[1]["ip_address"], "127.0.0.1");
}
