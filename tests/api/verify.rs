//! The route `/api/auth/verify`, which refuses tokens on the revocation list (section 9 of the contract).

mod reasons;
mod revoked;

use gotrue_mock::{Algorithm, Tokens};
use serde_json::json;

use crate::harness::{Browser, CookieFormat, Setup, TestApp, assert_error, claims_of};

#[tokio::test]
async fn a_living_session_gets_identity_headers_and_no_body() {
    let app = TestApp::new().await;
    let tokens = app.sign_up();
    let by_cookie = Browser::signed_in_without_csrf(&app, &tokens, CookieFormat::Chunked);
    let replies = [
        app.get("/api/auth/verify").bearer(&tokens.access_token).send().await,
        by_cookie.request("GET", "/api/auth/verify").send().await,
    ];
    for reply in replies {
        assert_eq!((reply.status, reply.text().as_str()), (200, ""));
        for (name, value) in [
            ("x-auth-user-id", tokens.user_id.to_string()),
            ("x-auth-session-id", tokens.session_id.to_string()),
            ("x-auth-role", "authenticated".to_owned()),
            ("x-auth-aal", "aal1".to_owned()),
        ] {
            assert_eq!(reply.header(name), Some(&*value));
        }
        assert!(reply.set_cookies().is_empty());
    }
    let mut claims = claims_of(&tokens.access_token);
    claims["role"] = json!("a\r\nX-Evil: 1");
    claims.as_object_mut().unwrap().remove("aal");
    let odd = app.mock.sign(&claims).unwrap();
    let reply = app.get("/api/auth/verify").bearer(&odd).send().await;
    assert_eq!(reply.status, 200);
    for name in ["x-auth-role", "x-auth-aal"] {
        assert_eq!(
            reply.header(name),
            Some(""),
            "{name}: without an empty header, a proxy could pass on the client's header"
        );
    }
    assert_eq!(reply.header("x-evil"), None);
    assert_eq!(app.gotrue_call_count(), 0);
}

#[tokio::test]
async fn any_method_and_any_path_below_the_route_is_checked() {
    let app = TestApp::with_flags(&[("allowed-origins", "https://app.example.com")]).await;
    let tokens = app.sign_up();
    let paths = ["", "/", "/api/things", "/a//b", "/%2e%2e/x", "/x?y=1", "/logout", "/%ff"];
    for path in paths.map(|path| format!("/api/auth/verify{path}")) {
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"]
        {
            let reply = app.request(method, &path).bearer(&tokens.access_token).send().await;
            assert_eq!(reply.status, 200, "{method} {path}");
            assert_eq!(reply.header("x-auth-user-id"), Some(&*tokens.user_id.to_string()));
            let preflight = app.request(method, &path).headers(&[
                ("Origin", "https://app.example.com"),
                ("Access-Control-Request-Method", "POST"),
            ]);
            let reply = preflight.send().await;
            assert_eq!(
                reply.status, 401,
                "{method} {path}: the application answers preflights, not verify"
            );
            assert_eq!(reply.header("x-auth-user-id"), None);
        }
    }
    let reply = app.post("/api/auth/verify").bearer(&tokens.access_token).body(vec![0; 20_000]);
    assert_eq!(reply.send().await.status, 200, "verify ignores the application's body");
}

#[tokio::test]
async fn a_session_that_does_not_live_is_refused_with_its_reason() {
    let app = TestApp::new().await;
    let verify = async |token: &str| app.get("/api/auth/verify").bearer(token).send().await;
    let missing = app.get("/api/auth/verify").send().await;
    assert_error(&missing, 401, "NOT_AUTHENTICATED", Some("missing"));
    assert!(missing.set_cookies().is_empty());
    assert_error(&verify("x").await, 401, "NOT_AUTHENTICATED", Some("invalid"));
    let garbage = app.get("/api/auth/verify").cookies(&[("sb-127-auth-token", "x")]).send().await;
    assert_error(&garbage, 401, "NOT_AUTHENTICATED", Some("invalid"));
    assert!(garbage.set_cookies().is_empty(), "verify deletes no cookies");

    let tokens = app.sign_up();
    app.advance_time(3599);
    assert_eq!(verify(&tokens.access_token).await.status, 200);
    app.advance_time(1);
    let expired = verify(&tokens.access_token).await;
    assert_error(&expired, 401, "NOT_AUTHENTICATED", Some("expired"));
    let cookie = Browser::signed_in_without_csrf(&app, &tokens, CookieFormat::Base64);
    let reply = cookie.request("GET", "/api/auth/verify").send().await;
    assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("expired"));
    assert_eq!(app.gotrue_call_count(), 0, "verify never refreshes");
}

/// The session that logs out, a second session of its user, and a session of another user.
struct Sessions {
    asker: Tokens,
    second: Tokens,
    other_user: Tokens,
}

async fn start_sessions(app: &TestApp) -> Sessions {
    let asker = app.sign_up();
    let sessions = Sessions { second: app.sign_in_again(&asker), other_user: app.sign_up(), asker };
    for tokens in [&sessions.asker, &sessions.second, &sessions.other_user] {
        assert_eq!(app.verify(tokens).await, 200);
    }
    app.advance_time(1);
    sessions
}

/// The scope of a logout, whether the session that logs out is refused afterwards, and whether the user's
/// second session is.
const SCOPES: [(&str, bool, bool); 3] =
    [("local", true, false), ("others", false, true), ("global", true, true)];

#[tokio::test]
async fn verify_refuses_at_once_what_a_scope_ends_whatever_gotrue_answered() {
    let answers = [
        json!(null),
        json!({"operation": "logout", "kind": "status", "status": 500, "times": 1}),
        json!({"operation": "logout", "kind": "status", "status": 429, "times": 1}),
        json!({"operation": "logout", "kind": "status", "status": 403,
            "code": "session_not_found", "times": 1}),
    ];
    for answer in answers {
        let app = TestApp::new().await;
        for (scope, asker_ends, second_ends) in SCOPES {
            let sessions = start_sessions(&app).await;
            if answer.is_object() {
                app.inject_fault(answer.clone());
            }
            let target = format!("/logout?scope={scope}");
            let token = &sessions.asker.access_token;
            let by_bearer = app.post(&target).bearer(token).send().await;
            assert_eq!(
                by_bearer.status == 200,
                answer.is_null() || by_bearer.header("x-logout-outcome") == Some("already-ended")
            );
            // If GoTrue answers that the session is gone, only that session enters the revocation list,
            // whatever the scope.
            let gone = answer["status"] == 403;
            let (asker_ends, second_ends) =
                if gone { (true, false) } else { (asker_ends, second_ends) };
            for (tokens, ended) in [
                (&sessions.asker, asker_ends),
                (&sessions.second, second_ends),
                (&sessions.other_user, false),
            ] {
                let reply = app.get("/api/auth/verify").bearer(&tokens.access_token).send().await;
                let case = format!("{scope} {answer} {tokens:?}");
                assert_eq!(reply.status, if ended { 401 } else { 200 }, "{case}");
                if ended {
                    assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("revoked"));
                    assert_eq!(reply.header("x-auth-user-id"), None);
                }
            }
            app.advance_time(1);
            let new = app.sign_in_again(&sessions.asker);
            assert_eq!(app.verify(&new).await, 200, "a later sign-in is never refused: {scope}");
        }
    }
}

#[tokio::test]
async fn the_cut_off_is_the_time_of_gotrues_clock_and_includes_its_second() {
    let app = Setup::new().gotrue_clock_ahead(20).start().await;
    let asker = app.sign_up();
    app.advance_time(10);
    // GoTrue's clock is ahead, so for the gateway this token was issued in the future. The cut-off must still
    // include it.
    let second = app.sign_in_again(&asker);
    app.advance_time(1);
    let in_the_cut_offs_second = app.sign_in_again(&asker);
    let reply = app.post("/logout?scope=global").bearer(&asker.access_token).send().await;
    assert_eq!(reply.status, 200);
    assert_eq!(app.verify(&second).await, 401);
    assert_eq!(
        app.verify(&in_the_cut_offs_second).await,
        401,
        "the token may have been issued before the logout"
    );
    app.advance_time(1);
    assert_eq!(app.verify(&app.sign_in_again(&asker)).await, 200);
}

#[tokio::test]
async fn a_cookie_of_a_logged_out_session_is_refused_even_beside_a_living_bearer_token() {
    let app = TestApp::new().await;
    let (victim, attacker) = (app.sign_up(), app.sign_up());
    let browser = Browser::signed_in_without_csrf(&app, &victim, CookieFormat::Base64);
    let verify =
        |tokens: &Tokens| browser.request("GET", "/api/auth/verify").bearer(&tokens.access_token);
    let reply = verify(&attacker).send().await;
    assert_eq!((reply.status, reply.header("x-auth-carrier")), (200, Some("bearer")));
    assert_eq!(app.post("/logout").bearer(&victim.access_token).send().await.status, 200);
    let reply = verify(&attacker).send().await;
    assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("revoked"));
    assert_eq!(app.verify(&attacker).await, 200, "without that cookie");

    let later = app.sign_in_again(&victim);
    assert_eq!(verify(&later).send().await.status, 200, "an older session of the same user");
    app.advance_time(3600);
    let fresh = app.sign_in_again(&attacker);
    assert_eq!(verify(&fresh).send().await.status, 200, "an expired cookie is ignored");
}

#[tokio::test]
async fn a_refreshed_token_of_an_ended_session_is_refused_as_well() {
    let app = TestApp::new().await;
    let tokens = app.sign_up();
    let mut claims = claims_of(&tokens.access_token);
    app.inject_fault(json!({"operation": "logout", "kind": "status", "status": 500, "times": 1}));
    assert_eq!(app.post("/logout").bearer(&tokens.access_token).send().await.status, 500);
    app.advance_time(100);
    claims["iat"] = json!(app.clock.now());
    claims["exp"] = json!(app.clock.now() + 3600);
    let later = app.mock.sign(&claims).unwrap();
    let reply = app.get("/api/auth/verify").bearer(&later).send().await;
    assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("revoked"));
}

#[tokio::test]
async fn a_revocation_lasts_longer_than_every_token_that_it_can_match() {
    let app = Setup::new().flag("max-token-lifetime", "1h").token_lifetime(7200).start().await;
    let tokens = app.sign_up();
    assert_eq!(app.post("/logout").bearer(&tokens.access_token).send().await.status, 200);
    app.advance_time(7199);
    assert_eq!(app.verify(&tokens).await, 401, "the token's own exp is later");
}

#[tokio::test]
async fn logouts_that_gotrue_confirmed_or_refreshed_enter_the_list() {
    let app = Setup::new().algorithm(Algorithm::Hs256).start().await;
    let tokens = app.sign_up();
    assert_eq!(app.verify(&tokens).await, 200);
    let calls_before = app.gotrue_calls("user").len();
    assert_eq!(app.post("/logout").bearer(&tokens.access_token).send().await.status, 200);
    let reply = app.get("/api/auth/verify").bearer(&tokens.access_token).send().await;
    assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("revoked"));
    assert_eq!(
        app.gotrue_calls("user").len(),
        calls_before,
        "the revocation list is checked before GoTrue"
    );

    let app = TestApp::new().await;
    let tokens = app.sign_up();
    let mut browser = Browser::signed_in(&app, &tokens, CookieFormat::Base64).await;
    app.advance_time(3600);
    assert_eq!(browser.logout("/logout").await.status, 200);
    let new = app.gotrue_calls("logout").pop().unwrap();
    let new = new.header("authorization").unwrap().to_owned();
    let reply = app.get("/api/auth/verify").header("Authorization", new).send().await;
    assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("revoked"));
}
