//! Sections 3, 4 and 6 of the contract: whatever else a cookie jar holds, the response to a logout is a success only if
//! every genuine session of the jar has ended.

use gotrue_mock::{Algorithm, Tokens};
use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::{
    Setup, TestApp, assert_error, assert_success, claims_of, forged_token, hs256_token,
    jar_requests::{Cookies, K, fetch_csrf, log_out, session, stored, with_csrf},
};

const FOREIGN_SECRET: &str = "a-secret-of-another-project-0123456789";

/// A genuine session whose token has this claim.
fn with_claim(app: &TestApp, tokens: &Tokens, claim: &str, value: Value) -> Cookies {
    let mut claims = claims_of(&tokens.access_token);
    claims[claim] = value;
    stored(&app.mock.sign(&claims).unwrap(), &tokens.refresh_token)
}

#[rstest]
#[case("iss", json!("https://elsewhere.example/auth/v1"))]
#[case("aud", json!("elsewhere"))]
#[tokio::test]
async fn beside_a_session_that_the_configuration_refuses_no_logout_is_a_success(
    #[case] claim: &str,
    #[case] value: Value,
) {
    let app = TestApp::new().await;
    for good_first in [true, false] {
        let (good, refused) = (app.sign_up(), app.sign_up());
        let refused_jar = with_claim(&app, &refused, claim, value.clone());
        let mut jar = [refused_jar.clone(), session(&good)];
        jar.rotate_left(usize::from(good_first));
        let reply = log_out(&app, "/logout", &jar.concat()).await;
        assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
        assert!(reply.set_cookies().is_empty(), "the refused session lives: {reply:?}");
        assert!(!app.is_alive(&good) && app.is_alive(&refused), "{claim} {good_first}");
        app.advance_time(3600);
        let expired = stored(&good.access_token, "");
        let reply = app.post("/logout").cookies(&[expired, refused_jar].concat()).send().await;
        assert!(reply.status == 401 && reply.set_cookies().is_empty(), "{reply:?}");
    }
}

/// The anon key is public, and any subdomain can plant it. It names no session, so no setting would make it one.
#[tokio::test]
async fn a_planted_anon_key_keeps_no_cookies_and_spoils_no_logout() {
    let secret = ("supabase-jwt-secret", gotrue_mock::TEST_SECRET);
    let app = Setup::new().algorithm(Algorithm::Hs256).flags(&[secret]).start().await;
    let key =
        json!({"iss": "supabase", "ref": "abcdefghij", "role": "anon", "exp": 4_000_000_000_u64});
    let key = app.mock.sign(&key).unwrap();
    for name in [K, "sb-access-token"] {
        let tokens = app.sign_up();
        let jar = [vec![(name.to_owned(), key.clone())], session(&tokens)].concat();
        let reply = log_out(&app, "/logout", &jar).await;
        assert_success(&reply, "/logout", tokens.user_id, "revoked");
        assert!(!app.is_alive(&tokens) && !reply.set_cookies().is_empty(), "{name}");
        let alone = app.post("/logout").cookies(&[(name, &key)]).send().await;
        assert!(alone.status == 401 && !alone.set_cookies().is_empty(), "{name} {alone:?}");
    }
}

#[tokio::test]
async fn junk_before_a_token_that_the_configuration_refuses_does_not_throw_it_away() {
    let app = Setup::new().algorithm(Algorithm::Hs256).start().await;
    let tokens = app.sign_up();
    let claims = claims_of(&tokens.access_token).to_string();
    let junk = stored(&forged_token(r#"{"alg":"ES256","kid":"made-up"}"#, &claims), "junk");
    let refused = with_claim(&app, &tokens, "aud", json!("elsewhere"));
    for jar in [[junk.clone(), refused.clone()], [refused, junk]] {
        let reply = app.post("/logout").cookies(&jar.concat()).send().await;
        assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
        assert!(reply.set_cookies().is_empty(), "{reply:?}");
    }
}

#[tokio::test]
async fn a_planted_unknown_key_does_not_delay_a_logout_while_the_key_set_hangs() {
    let app = TestApp::with_flags(&[("upstream-timeout", "60s")]).await;
    let tokens = app.sign_up();
    let csrf = fetch_csrf(&app, &session(&tokens)).await;
    app.inject_fault(json!({"operation": "jwks", "kind": "hang"}));
    let claims = claims_of(&tokens.access_token).to_string();
    let planted = stored(&forged_token(r#"{"alg":"ES256","kid":"made-up"}"#, &claims), "junk");
    let jar = with_csrf(&[planted, session(&tokens)].concat(), &csrf);
    let begun = std::time::Instant::now();
    let reply = app.post("/logout").cookies(&jar).header("X-CSRF-Token", csrf).send().await;
    assert_success(&reply, "/logout", tokens.user_id, "revoked");
    assert!(!app.is_alive(&tokens));
    assert!(begun.elapsed().as_secs() < 5, "the logout waited for the key set");
}

#[tokio::test]
async fn chunks_are_read_in_any_order_of_their_domains() {
    let app = TestApp::new().await;
    let short = app.sign_up();
    let long = app.sign_in_again(&short);
    let text = |tokens: &Tokens| session(tokens).pop().unwrap().1;
    let split = |text: &str, size: usize| -> Vec<String> {
        text.as_bytes()
            .chunks(size)
            .map(|chunk| String::from_utf8(chunk.to_vec()).unwrap())
            .collect()
    };
    let (short_text, long_text) = (text(&short), text(&long));
    let a = split(&short_text, short_text.len().div_ceil(2));
    let b = split(&long_text, long_text.len().div_ceil(5));
    let named = |index: usize, value: &String| (format!("{K}.{index}"), value.clone());
    // The short session's second chunk was written after the long session's.
    let mut jar = vec![named(0, &a[0]), named(0, &b[0]), named(1, &b[1]), named(1, &a[1])];
    jar.extend((2..5).map(|index| named(index, &b[index])));
    let reply = log_out(&app, "/logout", &jar).await;
    assert_success(&reply, "/logout", short.user_id, "revoked");
    assert!(!app.is_alive(&short) && !app.is_alive(&long));
}

#[tokio::test]
async fn a_global_logout_goes_on_to_the_users_next_session_if_the_first_is_over() {
    let app = TestApp::new().await;
    let dead = app.sign_up();
    let (living, phone) = (app.sign_in_again(&dead), app.sign_in_again(&dead));
    app.mock.delete_session(dead.session_id);
    let jar = [session(&dead), session(&living)].concat();
    let reply = log_out(&app, "/logout?scope=global", &jar).await;
    assert_success(&reply, "/logout", dead.user_id, "revoked");
    assert!(!app.is_alive(&living) && !app.is_alive(&phone));

    let first = app.sign_up();
    let second = app.sign_in_again(&first);
    app.advance_time(3600);
    let jar = [stored(&first.access_token, "not-known-to-gotrue"), session(&second)].concat();
    let reply = log_out(&app, "/logout?scope=global", &jar).await;
    assert_success(&reply, "/logout", first.user_id, "revoked");
    assert!(!app.is_alive(&first) && !app.is_alive(&second));
}

#[rstest]
#[case::a_junk_access_token(&["junk", "ACCESS"], &["REFRESH"])]
#[case::a_junk_refresh_token(&["ACCESS"], &["junk-token-1", "REFRESH"])]
#[case::both(&["ACCESS", "junk"], &["junk-token-1", "junk-token-2", "REFRESH"])]
#[case::the_same_number(&["junk", "ACCESS"], &["REFRESH", "junk-token-1"])]
#[tokio::test]
async fn junk_beside_two_plain_cookies_hides_neither_token(
    #[case] access: &[&str],
    #[case] refresh: &[&str],
) {
    let app = TestApp::new().await;
    let tokens = app.sign_up();
    app.advance_time(3600);
    let cookies = |name: &str, values: &[&str]| -> Cookies {
        let fill = |text: &str| {
            text.replace("ACCESS", &tokens.access_token).replace("REFRESH", &tokens.refresh_token)
        };
        values.iter().map(|value| (name.to_owned(), fill(value))).collect()
    };
    let jar = [cookies("sb-access-token", access), cookies("sb-refresh-token", refresh)].concat();
    let reply = log_out(&app, "/logout", &jar).await;
    assert_success(&reply, "/logout", tokens.user_id, "revoked");
    assert!(!app.is_alive(&tokens));
}

#[tokio::test]
async fn where_only_gotrue_can_verify_tokens_a_session_that_stays_is_no_success() {
    let app = Setup::new().algorithm(Algorithm::Hs256).start().await;
    let (living, banned) = (app.sign_up(), app.sign_up());
    app.mock.ban_user(banned.user_id);
    let reply = log_out(&app, "/logout", &[session(&living), session(&banned)].concat()).await;
    assert_error(&reply, 500, "LOGOUT_FAILED", Some("user_banned"));
    assert!(!app.is_alive(&living) && app.is_alive(&banned));

    let expired = app.sign_up();
    app.advance_time(3600);
    let living = app.sign_up();
    app.inject_fault(json!({"operation": "token", "kind": "status", "status": 503}));
    let reply = log_out(&app, "/logout", &[session(&living), session(&expired)].concat()).await;
    assert_eq!(reply.header("x-logout-outcome"), Some("failed"), "{reply:?}");
    assert!(!app.is_alive(&living) && app.is_alive(&expired));
}

#[tokio::test]
async fn a_forged_token_with_the_ids_of_a_genuine_one_does_not_replace_it() {
    let app = Setup::new().algorithm(Algorithm::Hs256).start().await;
    for forged_first in [true, false] {
        let tokens = app.sign_up();
        let claims = claims_of(&tokens.access_token);
        let forged = stored(&hs256_token(&claims, FOREIGN_SECRET), "planted");
        let mut jar = [session(&tokens), forged];
        jar.rotate_left(usize::from(forged_first));
        let reply = log_out(&app, "/logout", &jar.concat()).await;
        assert_success(&reply, "/logout", tokens.user_id, "revoked");
        assert!(!app.is_alive(&tokens), "forged first: {forged_first}");
    }
}

#[tokio::test]
async fn a_csrf_token_that_is_refused_causes_no_call_to_gotrue() {
    let app = Setup::new().algorithm(Algorithm::Hs256).start().await;
    let [one, other, third] = [(); 3].map(|()| app.sign_up());
    let jar = [session(&one), session(&other)].concat();
    let of_third = fetch_csrf(&app, &session(&third)).await;
    let before = app.gotrue_call_count();
    for (cookie, header) in [
        (None, None),
        (Some("x"), None),
        (None, Some("x")),
        (Some("x"), Some("y")),
        (Some("x"), Some("x")),
        (Some(&*of_third), Some(&*of_third)),
    ] {
        let jar = cookie.map_or_else(|| jar.clone(), |cookie| with_csrf(&jar, cookie));
        let request = app.post("/logout").cookies(&jar);
        let request = match header {
            Some(header) => request.header("X-CSRF-Token", header),
            None => request,
        };
        let reply = request.send().await;
        assert_eq!((reply.status, reply.set_cookies().len()), (403, 0), "{reply:?}");
    }
    assert_eq!(app.gotrue_call_count(), before);
    assert!(app.is_alive(&one) && app.is_alive(&other));
}

/// GoTrue accepts such tokens: a hook of the project may write the claims.
#[rstest]
#[case("client_id", json!(5), "x-auth-client-id", "5")]
#[case("client_id", json!({"a": 1}), "x-auth-client-id", r#"{"a":1}"#)]
#[case("iat", json!(1_799_999_999.5), "x-auth-carrier", "cookie")]
#[tokio::test]
async fn a_claim_of_another_type_that_decides_nothing_refuses_no_token(
    #[case] claim: &str,
    #[case] value: Value,
    #[case] header: &str,
    #[case] shown: &str,
) {
    let app = TestApp::new().await;
    let tokens = app.sign_up();
    let jar = with_claim(&app, &tokens, claim, value);
    let verify = app.get("/api/auth/verify").cookies(&jar).send().await;
    assert_eq!((verify.status, verify.header(header)), (200, Some(shown)), "{claim}");
    let reply = log_out(&app, "/logout", &jar).await;
    assert_success(&reply, "/logout", tokens.user_id, "revoked");
    assert!(!app.is_alive(&tokens), "{claim}");
}
