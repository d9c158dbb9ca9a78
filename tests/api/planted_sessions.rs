//! Sections 3 and 8 of the contract: cookies that another site planted beside the session must not hide the
//! session or prevent its logout.

use gotrue_mock::{Algorithm, Tokens};
use rstest::rstest;
use serde_json::json;
use uuid::Uuid;

use crate::harness::{
    GatewayProcess, Setup, TestApp, assert_error, assert_success, claims_of,
    cpu_time::CpuTime,
    forged_token, hs256_token,
    jar_requests::{Cookies, K, fetch_csrf, log_out, session, stored, with_csrf},
};

const FOREIGN_SECRET: &str = "a-secret-of-another-project-0123456789";

/// A cookie with an HS256 token of a session that does not exist. Only GoTrue can tell that it is forged.
fn unverifiable(tokens: &Tokens, n: usize) -> Cookies {
    let mut claims = claims_of(&tokens.access_token);
    claims["session_id"] = json!(Uuid::from_u128(0x4000_8000_0000_0000_0000 + n as u128));
    stored(&hs256_token(&claims, FOREIGN_SECRET), "planted")
}

/// A cookie with a token whose signature does not verify.
fn forged(tokens: &Tokens, n: usize) -> Cookies {
    let header = jsonwebtoken::decode_header(&tokens.access_token).unwrap();
    let header = json!({"alg": "ES256", "kid": header.kid.unwrap(), "n": n}).to_string();
    stored(&forged_token(&header, &claims_of(&tokens.access_token).to_string()), "planted")
}

#[rstest]
#[case::tokens_of_no_session(unverifiable)]
#[case::tokens_with_a_wrong_signature(forged)]
#[tokio::test]
async fn fifty_planted_cookies_hide_no_session(#[case] plant: fn(&Tokens, usize) -> Cookies) {
    let app = TestApp::new().await;
    for is_last in [true, false] {
        let tokens = app.sign_up();
        let mut jar: Cookies = (0..50).flat_map(|n| plant(&tokens, n)).collect();
        let place = if is_last { jar.len() } else { 0 };
        jar.splice(place..place, session(&tokens));
        let verify = app.get("/api/auth/verify").cookies(&jar).send().await;
        let session = tokens.session_id.to_string();
        assert_eq!((verify.status, verify.header("x-auth-session-id")), (200, Some(&*session)));
        let reply = log_out(&app, "/logout", &jar).await;
        assert_success(&reply, "/logout", tokens.user_id, "revoked");
        assert!(!app.is_alive(&tokens), "last: {is_last}");
    }
}

#[tokio::test]
async fn a_request_of_several_sessions_takes_one_place_in_flight() {
    let app = TestApp::with_flags(&[("max-in-flight", "1")]).await;
    let old = app.sign_up();
    let new = app.sign_in_again(&old);
    let reply = log_out(&app, "/logout", &[session(&old), session(&new)].concat()).await;
    assert_success(&reply, "/logout", old.user_id, "revoked");
    assert!(!app.is_alive(&old) && !app.is_alive(&new));
}

#[tokio::test]
async fn a_session_of_a_new_key_ends_with_one_of_a_known_key() {
    for new_first in [true, false] {
        let app = TestApp::new().await;
        let old = app.sign_up();
        assert_eq!(app.verify(&old).await, 200);
        app.mock.rotate_keys_keeping_old().unwrap();
        let new = app.sign_in_again(&old);
        let mut jar = [session(&old), session(&new)];
        jar.rotate_left(usize::from(new_first));
        let reply = log_out(&app, "/logout", &jar.concat()).await;
        assert_success(&reply, "/logout", old.user_id, "revoked");
        assert!(!app.is_alive(&old) && !app.is_alive(&new), "new first: {new_first}");
    }
}

#[tokio::test]
async fn verify_fetches_the_keys_again_only_if_no_session_of_a_known_key_lives() {
    let app = TestApp::new().await;
    let old = app.sign_up();
    let unknown = forged_token(
        r#"{"alg":"ES256","kid":"made-up"}"#,
        &claims_of(&old.access_token).to_string(),
    );
    let jar = [stored(&unknown, "planted"), session(&old)].concat();
    assert_eq!(app.get("/api/auth/verify").cookies(&jar).send().await.status, 200);
    assert_eq!(app.gotrue_calls(".well-known/jwks.json").len(), 1);
    app.post("/logout").bearer(&old.access_token).send().await;
    app.mock.rotate_keys_keeping_old().unwrap();
    let new = app.sign_in_again(&old);
    let jar = [session(&old), session(&new)].concat();
    let verify = app.get("/api/auth/verify").cookies(&jar).send().await;
    let id = new.session_id.to_string();
    assert_eq!((verify.status, verify.header("x-auth-session-id")), (200, Some(&*id)));
    assert_eq!(app.gotrue_calls(".well-known/jwks.json").len(), 2);
}

#[tokio::test]
async fn a_global_logout_is_made_with_the_most_certain_session_of_the_user() {
    let app = TestApp::new().await;
    for forged_first in [true, false] {
        let tokens = app.sign_up();
        let phone = app.sign_in_again(&tokens);
        let mut claims = claims_of(&tokens.access_token);
        claims["session_id"] = json!(Uuid::new_v4());
        let forged = stored(&hs256_token(&claims, FOREIGN_SECRET), "planted");
        app.advance_time(3600);
        let mut jar = [session(&tokens), forged];
        jar.rotate_left(usize::from(forged_first));
        let reply = log_out(&app, "/logout?scope=global", &jar.concat()).await;
        assert_success(&reply, "/logout", tokens.user_id, "revoked");
        assert!(!app.is_alive(&tokens) && !app.is_alive(&phone));
    }
}

#[tokio::test]
async fn cookies_with_a_genuine_token_that_the_configuration_refuses_stay_in_either_order() {
    let issuer = "https://elsewhere.example/auth/v1";
    let app = TestApp::with_flags(&[("jwt-issuer", issuer)]).await;
    let tokens = app.sign_up();
    let genuine = session(&tokens);
    for jar in [[forged(&tokens, 0), genuine.clone()], [genuine, forged(&tokens, 0)]] {
        let reply = app.post("/logout").cookies(&jar.concat()).send().await;
        assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
        assert!(reply.set_cookies().is_empty(), "{reply:?}");
    }
    let reply = app.post("/logout").cookies(&forged(&tokens, 0)).send().await;
    assert!(!reply.set_cookies().is_empty(), "the cookies have no genuine token");
}

#[tokio::test]
async fn while_gotrue_is_down_a_planted_cookie_does_not_prevent_a_csrf_token() {
    let app = TestApp::new().await;
    let tokens = app.sign_up();
    let planted = unverifiable(&tokens, 0);
    app.stop_mock();
    let jar = [planted.clone(), session(&tokens)].concat();
    let csrf = fetch_csrf(&app, &jar).await;
    let log_out = async |jar: &Cookies| {
        let jar = with_csrf(jar, &csrf);
        app.post("/logout").cookies(&jar).header("X-CSRF-Token", &csrf).send().await
    };
    let reply = log_out(&jar).await;
    assert_error(&reply, 500, "LOGOUT_FAILED", Some("auth_service_unavailable"));
    // The CSRF token is bound to the planted access token itself, so it is not valid with another planted token.
    let other = [unverifiable(&tokens, 1), session(&tokens)].concat();
    assert_error(&log_out(&other).await, 403, "CSRF_FAILED", Some("invalid"));
    let alone = app.get("/api/auth/csrf").cookies(&planted).send().await;
    assert_eq!(alone.status, 500, "only GoTrue could verify the token: {alone:?}");
}

#[tokio::test]
async fn a_session_that_only_gotrue_can_verify_ends_beside_planted_ones() {
    let app = Setup::new().algorithm(Algorithm::Hs256).start().await;
    let tokens = app.sign_up();
    let mut jar: Cookies = (0..15).flat_map(|n| unverifiable(&tokens, n)).collect();
    jar.extend(session(&tokens));
    let reply = log_out(&app, "/logout", &jar).await;
    assert_success(&reply, "/logout", tokens.user_id, "revoked");
    assert!(!app.is_alive(&tokens));
}

/// A head of nearly the largest size, from a client without a session. The time is CPU time of the gateway's process.
#[rstest]
#[case::plain_tokens(&["sb-access-token", "sb-refresh-token"], 1900)]
#[case::bare_tokens(&[K, "sb-refresh-token"], 1900)]
#[case::one_octet_a_chunk(&["sb-127-auth-token."], 4000)]
#[tokio::test]
async fn thousands_of_cookies_cost_little(#[case] names: &[&str], #[case] count: usize) {
    let app = TestApp::new().await;
    let gateway = GatewayProcess::start(&app, &[]).await;
    let cookie = |name: &str, n: usize| {
        if name.ends_with('.') {
            return (format!("{name}{n}"), "A".to_owned());
        }
        (name.to_owned(), format!("a.b.{n}"))
    };
    let jar: Cookies = names.iter().flat_map(|name| (0..count).map(|n| cookie(name, n))).collect();
    let before = CpuTime::of_process(gateway.pid()).user;
    let targets =
        [("GET", "/api/auth/verify"), ("GET", "/api/auth/csrf"), ("POST", "/api/auth/logout")];
    for (method, path) in targets {
        let reply = gateway.request(method, path).cookies(&jar).send().await;
        assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
    }
    let spent = CpuTime::of_process(gateway.pid()).user.saturating_sub(before);
    assert!(spent.as_secs() < 3, "{spent:?}");
}
