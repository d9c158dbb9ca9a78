//! Section 3 of the contract: which access tokens are believed.

use logout_gateway::mock::{Algorithm, TEST_SECRET};
use serde_json::{Value, json};

use crate::harness::{
    RECORDED_AT, RECORDED_ISSUER, START, Setup, Stage, assert_error, claims_of, es256, forged,
    hs256, recording, sign_with,
};

const ES256: &str = r#"{"alg":"ES256","kid":"es256-test-key","typ":"JWT"}"#;

/// Tries `token` as a Bearer at every route that judges one; answers the statuses and asserts that
/// they agree.
async fn judged(stage: &Stage, token: &str) -> (u16, Option<String>) {
    let verify = stage.get("/api/auth/verify").bearer(token).send().await;
    let reason = |reply: &crate::harness::Reply| match reply.status {
        200 => None,
        _ => reply.json()["error"]["reason"].as_str().map(str::to_owned),
    };
    let (status, told) = (verify.status, reason(&verify));
    let logout = stage.post("/logout").bearer(token).send().await;
    assert_eq!((logout.status, reason(&logout)), (status, told.clone()), "logout and verify");
    (status, told)
}

#[tokio::test]
async fn recorded_tokens_of_every_algorithm_are_believed_by_the_recorded_keys() {
    for (algorithm, name) in [
        (Algorithm::Es256, "es256"),
        (Algorithm::Rs256, "rs256"),
        (Algorithm::EdDsa, "eddsa"),
        (Algorithm::Hs256, "hs256"),
    ] {
        let setup = Setup::new().at(RECORDED_AT).algorithm(algorithm);
        let setup = setup.flag("jwt-issuer", RECORDED_ISSUER);
        let setup = setup.flag("supabase-jwt-secret", TEST_SECRET);
        let keys = recording(&format!("jwks-{name}")).as_fault("jwks", None);
        let stage = setup.start_with(&[keys]).await;
        let recorded = recording(&format!("logout-local-{name}"));
        let token = recorded.token();

        let claims = claims_of(token);
        let verify = stage.get("/api/auth/verify").bearer(token).send().await;
        assert_eq!(verify.status, 200, "{name}: {verify:?}");
        assert_eq!(verify.header("x-auth-user-id"), claims["sub"].as_str());
        assert_eq!(verify.header("x-auth-session-id"), claims["session_id"].as_str());
        assert_eq!(stage.asked(), 0, "it is judged here");

        // The last character may hold bits of no meaning: the one before it does not.
        let (rest, end) = token.split_at(token.len() - 2);
        let changed = if end.starts_with('A') { "B" } else { "A" };
        let tampered = format!("{rest}{changed}{}", &end[1..]);
        assert_eq!(judged(&stage, &tampered).await, (401, Some("invalid".to_owned())), "{name}");
        let (signed, _) = token.rsplit_once('.').unwrap();
        assert_eq!(judged(&stage, &format!("{signed}.")).await.0, 401, "{name} unsigned");
        assert_eq!(stage.asked(), 0);
    }
}

#[tokio::test]
async fn claims_are_judged_before_anybody_is_asked() {
    let stage = Stage::new().await;
    let nil = "00000000-0000-0000-0000-000000000000";
    let rows: &[(&str, Value, Option<&str>)] = &[
        ("iss", json!("https://evil.example/auth/v1"), Some("invalid")),
        ("iss", json!(format!("{}/", stage.mock.issuer())), Some("invalid")),
        ("iss", json!([stage.mock.issuer()]), Some("invalid")),
        ("iss", Value::Null, Some("invalid")),
        ("aud", json!("anon"), Some("invalid")),
        ("aud", json!(["anon", "service_role"]), Some("invalid")),
        ("aud", json!([]), Some("invalid")),
        ("aud", Value::Null, Some("invalid")),
        ("aud", json!(["x", "authenticated"]), None),
        ("exp", Value::Null, Some("invalid")),
        ("exp", json!("1900000000"), Some("invalid")),
        ("exp", json!(START), Some("expired")),
        ("exp", json!(START - 1), Some("expired")),
        ("exp", json!(START + 1), None),
        ("nbf", json!(START + 30), None),
        ("nbf", json!(START + 31), Some("invalid")),
        ("nbf", Value::Null, None),
        ("iat", json!(START + 30), None),
        ("iat", json!(START + 31), Some("invalid")),
        ("iat", Value::Null, None),
        ("sub", json!("not-a-uuid"), Some("invalid")),
        ("sub", json!(""), Some("invalid")),
        ("sub", Value::Null, Some("invalid")),
        ("session_id", json!("not-a-uuid"), Some("invalid")),
        ("session_id", json!(""), Some("invalid")),
        ("session_id", json!(nil), Some("invalid")),
        ("session_id", Value::Null, Some("invalid")),
    ];
    for (claim, value, refused) in rows {
        let tokens = stage.sign_up();
        let mut claims = claims_of(&tokens.access_token);
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(*claim)),
            value => claims[claim] = value.clone(),
        }
        let before = stage.asked();
        let token = stage.mock.sign(&claims).unwrap();
        if (*claim, refused) == ("nbf", &None) {
            // GoTrue itself gives no leeway: it refuses to log out what is believed here.
            let verify = stage.get("/api/auth/verify").bearer(&token).send().await;
            assert_eq!(verify.status, 200, "{value}");
            continue;
        }
        let told = judged(&stage, &token).await.1;
        assert_eq!(told.as_deref(), *refused, "{claim} {value}");
        // GoTrue would have ended all of the user's sessions for some of these.
        assert_eq!(stage.asked() == before, refused.is_some(), "{claim} {value}");
        assert_eq!(stage.alive(&tokens), refused.is_some(), "{claim} {value}");
    }
}

#[tokio::test]
async fn headers_that_ask_for_more_are_refused_though_the_signature_is_genuine() {
    let stage = Stage::new().await;
    let jku = format!("{}/auth/v1/jku", stage.mock.url());
    let key = recording("jwks-es256").response.body["keys"][0].clone();
    let key_set_fetches = || stage.mock.calls().len() - stage.asked();
    let rows = [
        (ES256.to_owned(), true),
        (r#"{"alg":"ES256","typ":"JWT"}"#.to_owned(), false),
        (r#"{"alg":"ES256","kid":null}"#.to_owned(), false),
        (r#"{"alg":"ES256","kid":"es256-test-key","crit":["exp"],"exp":1}"#.to_owned(), false),
        (r#"{"alg":"ES256","kid":"es256-test-key","crit":null}"#.to_owned(), false),
        (r#"{"alg":"ES256","kid":"es256-test-key","kid":"es256-test-key"}"#.to_owned(), false),
        (r#"{"alg":"ES256","alg":"none","kid":"es256-test-key"}"#.to_owned(), false),
        (r#"{"alg":"RS256","kid":"es256-test-key"}"#.to_owned(), false),
        (r#"{"alg":"es256","kid":"es256-test-key"}"#.to_owned(), false),
        (r#"{"alg":"ES384","kid":"es256-test-key"}"#.to_owned(), false),
        (r#"{"alg":"none","kid":"es256-test-key"}"#.to_owned(), false),
        (r#"{"kid":"es256-test-key"}"#.to_owned(), false),
        (format!(r#"{{"alg":"ES256","kid":"es256-test-key","jku":"{jku}","x5u":"{jku}"}}"#), true),
        (format!(r#"{{"alg":"ES256","kid":"x","jku":"{jku}","x5u":"{jku}"}}"#), false),
        (format!(r#"{{"alg":"ES256","kid":"y","jwk":{key},"x5c":["AAAA"]}}"#), false),
        (format!(r#"{{"alg":"ES256","jwk":{key}}}"#), false),
    ];
    for (header, believed) in rows {
        let tokens = stage.sign_up();
        let claims = claims_of(&tokens.access_token).to_string();
        let (status, _) = judged(&stage, &es256(&header, &claims)).await;
        assert_eq!(status, if believed { 200 } else { 401 }, "{header}");
        assert_eq!(stage.alive(&tokens), !believed, "{header}");
    }
    assert!(stage.mock.calls().iter().all(|call| !call.path.ends_with("/jku")));
    assert!(key_set_fetches() <= 2, "two unknown keys cause one refetch");
}

#[tokio::test]
async fn claims_twice_are_refused_wherever_they_stand() {
    let stage = Stage::with(&[("supabase-jwt-secret", TEST_SECRET)]).await;
    for claim in ["sub", "session_id", "exp", "iss", "aud", "role", "anything"] {
        let tokens = stage.sign_up();
        let mut claims = claims_of(&tokens.access_token);
        claims["anything"] = json!(1);
        let once = claims.to_string();
        let twice = format!(r#"{{"{claim}":{},{}"#, claims[claim], &once[1..]);
        let header = r#"{"alg":"HS256","typ":"JWT"}"#;
        let refused = judged(&stage, &sign_with(header, &twice)).await;
        assert_eq!(refused, (401, Some("invalid".to_owned())), "{claim}");
        assert_eq!(judged(&stage, &sign_with(header, &once)).await.0, 200, "{claim}");
    }
}

#[tokio::test]
async fn what_is_no_signed_token_is_refused() {
    let stage = Stage::new().await;
    let tokens = stage.sign_up();
    let claims = claims_of(&tokens.access_token);
    let text = claims.to_string();
    let genuine = &tokens.access_token;
    let (signed, signature) = genuine.rsplit_once('.').unwrap();
    let forgeries = [
        forged(r#"{"alg":"none"}"#, &text),
        forged(r#"{"alg":"None","kid":"es256-test-key"}"#, &text),
        forged(ES256, &text),
        forged(r#"{"alg":"RSA-OAEP","enc":"A256GCM","kid":"es256-test-key"}"#, &text),
        format!("{signed}.x.y.{signature}"),
        format!("{signed}..{signature}"),
        format!("{genuine}."),
        format!(".{genuine}"),
        signed.to_owned(),
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "...".to_owned(),
        "garbage".to_owned(),
        format!("{signed}=.{signature}"),
        forged("[]", &text),
        forged(ES256, "[]"),
        forged(ES256, "not json"),
        // The classic confusion: the shared secret is the public key.
        hs256(&claims, &recording("jwks-es256").response.body["keys"][0].to_string()),
    ];
    for token in forgeries {
        let logout = stage.post("/logout").bearer(&token).send().await;
        assert_error(&logout, 401, "NOT_AUTHENTICATED", Some("invalid"));
        assert_eq!(logout.header("x-logout-outcome"), None);
        assert!(stage.alive(&tokens), "{token}");
    }
    assert_eq!(stage.verify(&tokens).await, 200, "no forger locks the owner out");
}

#[tokio::test]
async fn a_token_may_be_as_large_as_the_head_allows() {
    let stage = Stage::new().await;
    let tokens = stage.sign_up();
    let mut claims = claims_of(&tokens.access_token);
    claims["user_metadata"]["avatar"] = json!("x".repeat(60_000));
    let large = stage.mock.sign(&claims).unwrap();
    assert!(large.len() > 80_000);
    assert_eq!(judged(&stage, &large).await.0, 200);
    assert!(!stage.alive(&tokens));
}

#[tokio::test]
async fn issuer_and_audience_are_lists() {
    let stage = Stage::with(&[
        ("jwt-issuer", "https://one.example/auth/v1, https://two.example/auth/v1"),
        ("jwt-audience", "web,app"),
    ])
    .await;
    for (issuer, audience, believed) in [
        ("https://one.example/auth/v1", "web", true),
        ("https://two.example/auth/v1", "app", true),
        ("https://two.example/auth/v1", "authenticated", false),
        ("https://three.example/auth/v1", "web", false),
    ] {
        let tokens = stage.sign_up();
        let mut claims = claims_of(&tokens.access_token);
        claims["iss"] = json!(issuer);
        claims["aud"] = json!(audience);
        let (status, _) = judged(&stage, &stage.mock.sign(&claims).unwrap()).await;
        assert_eq!(status == 200, believed, "{issuer} {audience}");
        assert_eq!(stage.alive(&tokens), !believed);
    }
}
