//! `GET|DELETE /mock/mails` and `GET /mock/users`: the codes, the links and the users that a test needs to go on.

use axum::http::{Method, StatusCode};
use gotrue_mock::Options;
use serde_json::{Value, json};

use crate::harness::{PASSWORD, RunningMock, unconfirmed};

#[tokio::test]
async fn the_mail_of_a_sign_up_has_a_code_and_a_link_that_works() {
    let mock = RunningMock::start_with(unconfirmed()).await;
    let user = json!({"email": "ann@example.com", "password": "secret-password-1"});
    mock.post("/auth/v1/signup", user).await;
    let mails = mock.get("/mock/mails").await.json();
    let mail = &mails[0];
    assert_eq!((&mail["to"], &mail["type"]), (&json!("ann@example.com"), &json!("signup")));
    assert_eq!(mail["token"].as_str().unwrap().len(), 6);
    let link = mail["link"].as_str().unwrap();
    assert!(link.contains(mail["token_hash"].as_str().unwrap()), "{mail}");
    let back = mock.get(link.strip_prefix(mock.mock.url()).unwrap()).await;
    assert_eq!(back.status, StatusCode::SEE_OTHER);
    assert!(back.header("location").unwrap().contains("#access_token="), "{back:?}");
    let users = mock.get("/mock/users").await.json();
    assert!(users[0]["email_confirmed_at"].is_string(), "{users}");
}

#[tokio::test]
async fn a_text_message_has_a_code_and_the_newest_message_is_the_last() {
    let mock = RunningMock::start_with(unconfirmed()).await;
    mock.post("/auth/v1/otp", json!({"email": "ann@example.com"})).await;
    mock.post("/auth/v1/otp", json!({"phone": "+491701234567"})).await;
    let mails = mock.get("/mock/mails").await.json();
    let text = &mails[1];
    assert_eq!((&text["to"], &text["type"]), (&json!("491701234567"), &json!("sms")));
    let code = json!({"phone": "+491701234567", "token": text["token"], "type": "sms"});
    let session = mock.post("/auth/v1/verify", code).await.json();
    assert_eq!(session["user"]["phone"], "491701234567");
}

/// Sends a request. Returns the messages that the mock sent for it.
async fn messages_of(
    mock: &RunningMock,
    method: Method,
    path: &str,
    token: &str,
    body: Value,
) -> Vec<Value> {
    mock.mock.delete_mails();
    let response =
        mock.send_with_token(method, &format!("/auth/v1{path}"), token, Some(body)).await;
    assert_eq!(response.status, StatusCode::OK, "{path}: {}", response.body);
    mock.get("/mock/mails").await.json().as_array().unwrap().clone()
}

#[tokio::test]
async fn each_message_has_the_type_of_its_purpose_and_a_link_if_one_can_be_followed() {
    const LINKED: bool = true;
    let mock = RunningMock::start_with(unconfirmed()).await;
    let user = mock.mock.create_user("ann@example.com", PASSWORD);
    let (ann, admin) = (mock.mock.sign_in(user).unwrap().access_token, mock.admin_token());
    let factor = json!({"factor_type": "phone", "phone": "+491701234567"});
    let path = "/auth/v1/factors";
    let factor = mock.send_with_token(Method::POST, path, &ann, Some(factor)).await.json();
    let challenge = format!("/factors/{}/challenge", factor["id"].as_str().unwrap());
    let email = |name: &str| json!({"email": format!("{name}@example.com"), "password": PASSWORD});
    let phone = json!({"phone": "+491701234568"});
    for (method, path, token, body, kinds, is_linked) in [
        (Method::POST, "/signup", "", email("bob"), &["signup"][..], LINKED),
        (Method::POST, "/otp", "", email("ann"), &["magiclink"], LINKED),
        (Method::POST, "/otp", "", phone, &["sms"], !LINKED),
        (Method::POST, "/recover", "", email("ann"), &["recovery"], LINKED),
        (Method::POST, "/invite", &admin, email("eve"), &["invite"], LINKED),
        (Method::GET, "/reauthenticate", &ann, json!({}), &["reauthentication"], !LINKED),
        (Method::POST, &challenge, &ann, json!({"channel": "sms"}), &["mfa"], !LINKED),
        (Method::PUT, "/user", &ann, json!({"email": "a@b.com"}), &["email_change"; 2], LINKED),
    ] {
        let mails = messages_of(&mock, method, path, token, body).await;
        assert_eq!(mails.iter().map(|mail| &mail["type"]).collect::<Vec<_>>(), kinds, "{path}");
        for mail in mails {
            let has = |member| mail.get(member).is_some();
            assert_eq!(
                (has("token"), has("token_hash"), has("link")),
                (true, is_linked, is_linked)
            );
        }
    }
}

#[tokio::test]
async fn deleted_mails_are_not_shown_but_their_codes_stay_valid() {
    let mock = RunningMock::start_with(unconfirmed()).await;
    mock.post("/auth/v1/otp", json!({"email": "ann@example.com"})).await;
    let code = mock.get("/mock/mails").await.json()[0]["token"].clone();
    let deleted = mock.send(Method::DELETE, "/mock/mails", &[], None).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    assert_eq!(mock.get("/mock/mails").await.json(), json!([]));
    let code = json!({"email": "ann@example.com", "token": code, "type": "email"});
    assert_eq!(mock.post("/auth/v1/verify", code).await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_users_are_those_of_an_administrator_with_identities() {
    let mock = RunningMock::start_default().await;
    let signed_up = mock.sign_up();
    let users = mock.get("/mock/users").await.json();
    assert_eq!(users.as_array().unwrap().len(), 1);
    assert_eq!(users[0]["id"], json!(signed_up.user_id));
    assert_eq!(users[0]["identities"][0]["provider"], "email");
}

#[tokio::test]
async fn links_and_issuer_begin_with_the_external_url() {
    let external_url = Some("https://auth.example.test/mock".to_owned());
    let mock = RunningMock::start(Options { external_url, ..Options::default() }).await;
    assert_eq!(mock.mock.issuer(), "https://auth.example.test/mock/auth/v1");
    assert_eq!(mock.mock.url(), "https://auth.example.test/mock");
    let user = mock.mock.create_user("ann@example.com", PASSWORD);
    assert!(mock.mock.user_exists(user));
    mock.post("/auth/v1/recover", json!({"email": "ann@example.com"})).await;
    let link = mock.get("/mock/mails").await.json()[0]["link"].clone();
    let begins =
        link.as_str().unwrap().starts_with("https://auth.example.test/mock/auth/v1/verify?");
    assert!(begins, "{link}");
}
