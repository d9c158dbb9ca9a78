//! Valid tokens with unusual spellings that the project has signed. The unusual and the usual token name the
//! same session: after a logout with either of them the gateway must refuse both.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use gotrue_mock::{Algorithm, Tokens};
use rstest::rstest;
use serde_json::json;
use uuid::Uuid;

use super::{
    arithmetic::malleable_twin,
    project_keys::ProjectKeys,
    token_factory::{TokenFactory, with_member, with_members, without_member},
};
use crate::harness::{Reply, TestApp, assert_error};

type MakeToken = fn(&TokenFactory) -> String;

/// Each row has a name, and makes a token that is unusual but valid.
const UNUSUAL_TOKENS: [(&str, MakeToken); 32] = [
    ("session_id in capitals", |factory| {
        with_spelling(factory, "session_id", |id| id.to_string().to_uppercase())
    }),
    ("session_id without hyphens", |factory| {
        with_spelling(factory, "session_id", |id| id.simple().to_string())
    }),
    ("session_id in braces", |factory| {
        with_spelling(factory, "session_id", |id| id.braced().to_string())
    }),
    ("session_id as a URN", |factory| {
        with_spelling(factory, "session_id", |id| id.urn().to_string())
    }),
    ("session_id as a URN in capitals", |factory| {
        with_spelling(factory, "session_id", |id| id.urn().to_string().to_uppercase())
    }),
    ("sub in capitals", |factory| {
        with_spelling(factory, "sub", |id| id.to_string().to_uppercase())
    }),
    ("sub without hyphens", |factory| with_spelling(factory, "sub", |id| id.simple().to_string())),
    ("sub in braces", |factory| with_spelling(factory, "sub", |id| id.braced().to_string())),
    ("sub as a URN", |factory| with_spelling(factory, "sub", |id| id.urn().to_string())),
    ("session_id under an escaped name", |factory| {
        let written = factory.claims["session_id"].to_string();
        let member = format!(r#""session\u005fid":{written}"#);
        factory.with_claims(with_members(&without_member(&factory.claims, "session_id"), &member))
    }),
    ("session_id in escaped digits", |factory| {
        let id = factory.claims["session_id"].as_str().unwrap();
        let escaped: Vec<String> = id.bytes().map(|byte| format!("\\u{byte:04x}")).collect();
        with_claim(factory, "session_id", &format!("\"{}\"", escaped.concat()))
    }),
    ("white space around and within", |factory| {
        let [header, claims] = [factory.header(), factory.claims.clone()]
            .map(|object| format!("\r\n\t {object:#} \n"));
        factory.signing_key().token(header, claims)
    }),
    ("another session in user_metadata", |factory| {
        with_claim(factory, "user_metadata", &claims_of_another_session())
    }),
    ("two other sessions in user_metadata", |factory| {
        let twice =
            claims_of_another_session().replace('}', "") + "," + &claims_of_another_session()[1..];
        with_claim(factory, "user_metadata", &twice)
    }),
    ("another session in app_metadata", |factory| {
        with_claim(factory, "app_metadata", &claims_of_another_session())
    }),
    ("another session in the header", |factory| {
        factory.with_header(with_member(&factory.header(), "x", &claims_of_another_session()))
    }),
    ("user_metadata too deep for any stack", |factory| {
        with_claim(factory, "user_metadata", &("[".repeat(10_000) + &"]".repeat(10_000)))
    }),
    ("a number too large for any type", |factory| with_claim(factory, "x", "1e999")),
    ("a list of audiences", |factory| with_claim(factory, "aud", r#"["authenticated"]"#)),
    // GoTrue's `GET /user` refuses a token whose first audience is empty.
    ("a list of other audiences too", |factory| {
        with_claim(factory, "aud", r#"["x","","authenticated"]"#)
    }),
    ("exp is the latest time", |factory| with_claim(factory, "exp", &i64::MAX.to_string())),
    ("no iat", |factory| factory.with_claims(without_member(&factory.claims, "iat").to_string())),
    ("iat and nbf are null", |factory| {
        let undated = with_member(&without_member(&factory.claims, "iat"), "iat", "null");
        factory.with_claims(undated.replacen('{', r#"{"nbf":null,"#, 1))
    }),
    ("iat is the earliest time", |factory| with_claim(factory, "iat", &i64::MIN.to_string())),
    ("no iss", |factory| factory.with_claims(without_member(&factory.claims, "iss").to_string())),
    ("iss is null", |factory| with_claim(factory, "iss", "null")),
    ("iss is the project's URL", |factory| {
        with_claim(factory, "iss", &json!(project_url(factory)).to_string())
    }),
    ("no role and no aal", |factory| {
        factory.with_claims(
            without_member(&without_member(&factory.claims, "role"), "aal").to_string(),
        )
    }),
    ("no typ", |factory| factory.with_header(without_member(&factory.header(), "typ").to_string())),
    ("another typ and a cty", |factory| {
        let typed = json!({"typ": "at+jwt", "cty": "JWT", "zip": "DEF"});
        factory.with_header(with_members(
            &without_member(&factory.header(), "typ"),
            inner(&typed.to_string()),
        ))
    }),
    ("keys and URLs of keys", |factory| {
        let members = json!({"jku": factory.address, "x5u": factory.address, "x5c": ["AAAA"],
            "jwk": {"kty": "oct", "k": "AAAA"}, "x5t": "AAAA"});
        factory.with_header(with_members(&factory.header(), inner(&members.to_string())))
    }),
    ("additional parameters with names in capitals", |factory| {
        factory
            .with_header(with_members(&factory.header(), r#""ALG":"none","KID":"x","CRIT":["x"]"#))
    }),
];

fn with_claim(factory: &TokenFactory, claim: &str, written: &str) -> String {
    factory.with_claims(with_member(&factory.claims, claim, written))
}

/// `SUPABASE_URL`, to which GoTrue's own issuer appends its path.
pub(super) fn project_url(factory: &TokenFactory) -> &str {
    factory.claims["iss"].as_str().unwrap().strip_suffix("/auth/v1").unwrap()
}

fn with_spelling(factory: &TokenFactory, claim: &str, spelling: fn(Uuid) -> String) -> String {
    let id = Uuid::parse_str(factory.claims[claim].as_str().unwrap()).unwrap();
    with_claim(factory, claim, &json!(spelling(id)).to_string())
}

/// The members of a JSON object as text, without the braces around them.
fn inner(object: &str) -> &str {
    &object[1..object.len() - 1]
}

/// Claims that name another session. A user may write them into `user_metadata`, which the gateway ignores.
fn claims_of_another_session() -> String {
    let other = Uuid::from_u128(7);
    json!({"sub": other, "session_id": other, "exp": 1, "aud": "anon", "role": "service_role"})
        .to_string()
}

/// The genuine token with the second valid form of its ES256 signature (see [`malleable_twin`]).
fn with_other_signature(factory: &TokenFactory) -> String {
    let token = factory.genuine_token();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let other_signature = malleable_twin(&BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap());
    let other_token = format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(other_signature));
    assert_ne!(other_token, token);
    other_token
}

/// A logout that must make the gateway refuse both the unusual and the usual token.
#[derive(Clone, Copy, Debug)]
struct Ending {
    scope: &'static str,
    /// Whether the logout has the unusual token. Otherwise it has the usual token or, with the scope
    /// `others`, a token of another session of the user.
    by_unusual_token: bool,
    /// Whether the gateway has accepted both tokens before the logout.
    used_before: bool,
}

const ENDINGS: [Ending; 3] = [
    Ending { scope: "local", by_unusual_token: true, used_before: true },
    Ending { scope: "local", by_unusual_token: false, used_before: false },
    Ending { scope: "others", by_unusual_token: false, used_before: true },
];

#[rstest]
#[case::where_a_key_signs(ProjectKeys::OneKey(Algorithm::Es256))]
#[case::where_only_gotrue_knows_the_secret(ProjectKeys::SecretUnknownToGateway)]
#[tokio::test]
async fn a_logout_ends_every_token_that_names_the_session(#[case] project_keys: ProjectKeys) {
    let app = project_keys.start_app().await;
    for (name, make) in UNUSUAL_TOKENS {
        for ending in ENDINGS {
            assert_both_tokens_end(&app, project_keys, (name, make), ending).await;
        }
    }
    let keys = app.gotrue_calls(".well-known/jwks.json").len();
    assert_eq!(keys, 1, "the gateway fetches no keys from URLs in tokens");
}

#[tokio::test]
async fn an_altered_es256_signature_does_not_escape_the_revocation_list() {
    let project_keys = ProjectKeys::OneKey(Algorithm::Es256);
    let app = project_keys.start_app().await;
    let altered = ("the other form of the signature", with_other_signature as MakeToken);
    for scope in ["local", "global", "others"] {
        for (by_unusual_token, used_before) in
            [(true, true), (true, false), (false, true), (false, false)]
        {
            let ending = Ending { scope, by_unusual_token, used_before };
            assert_both_tokens_end(&app, project_keys, altered, ending).await;
        }
    }
}

async fn assert_both_tokens_end(
    app: &TestApp,
    project_keys: ProjectKeys,
    (name, make): (&str, MakeToken),
    ending: Ending,
) {
    let Ending { scope, by_unusual_token, used_before } = ending;
    let case = format!("{name}: {ending:?}");
    let session = app.sign_up();
    let another = app.sign_in_again(&session);
    let unusual = make(&TokenFactory::new(project_keys, app, &session.access_token));
    let usual = &session.access_token;
    if used_before {
        assert_names(&verify(app, &unusual).await, &session, &case);
        assert_names(&verify(app, usual).await, &session, &case);
    }
    // Log out in a later second than that of the tokens, so that the result does not depend on the rule for
    // tokens that were issued in the second of the logout.
    app.advance_time(1);
    let (by, ended): (&str, [&str; 2]) = match (scope, by_unusual_token) {
        ("others", true) => (&unusual, [&another.access_token; 2]),
        ("others", false) => (&another.access_token, [&unusual, usual]),
        (_, true) => (&unusual, [usual, &unusual]),
        (_, false) => (usual, [&unusual, usual]),
    };
    let reply = app.post(&format!("/logout?scope={scope}")).bearer(by).send().await;
    let actual = (reply.status, reply.header("x-logout-outcome"));
    assert_eq!(actual, (200, Some("revoked")), "{case}");
    for token in ended {
        let reply = verify(app, token).await;
        assert_eq!(reply.status, 401, "{case}");
        assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("revoked"));
    }
    let spared = scope == "others" && by_unusual_token;
    assert_eq!(app.is_alive(&session), spared, "{case}");
    if spared {
        assert_names(&verify(app, &unusual).await, &session, &case);
        assert_names(&verify(app, usual).await, &session, &case);
    }
}

async fn verify(app: &TestApp, token: &str) -> Reply {
    app.get("/api/auth/verify").bearer(token).send().await
}

/// Asserts that the gateway accepts the token, and returns the ids in their usual spelling to the
/// application.
#[track_caller]
fn assert_names(reply: &Reply, session: &Tokens, case: &str) {
    assert_eq!(reply.status, 200, "{case}");
    let ids = [("x-auth-user-id", session.user_id), ("x-auth-session-id", session.session_id)];
    for (name, id) in ids {
        assert_eq!(reply.header(name), Some(&*id.to_string()), "{case}");
    }
}
