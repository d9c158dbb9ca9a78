//! Tokens that look odd and that the project signed all the same: each is of one session with the usual
//! one, so that the end of either is the end of both.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use gotrue_mock::{Algorithm, Tokens};
use rstest::rstest;
use serde_json::json;
use uuid::Uuid;

use super::{
    arithmetic::malleable_twin,
    court::Court,
    mint::{Mint, with_member, with_members, without},
};
use crate::harness::{Reply, Stage, assert_error};

type Make = fn(&Mint) -> String;

/// What any key may sign.
const ODD: [(&str, Make); 29] = [
    ("session_id in capitals", |mint| {
        respelled(mint, "session_id", |id| id.to_string().to_uppercase())
    }),
    ("session_id without hyphens", |mint| {
        respelled(mint, "session_id", |id| id.simple().to_string())
    }),
    ("session_id in braces", |mint| respelled(mint, "session_id", |id| id.braced().to_string())),
    ("session_id as a URN", |mint| respelled(mint, "session_id", |id| id.urn().to_string())),
    ("session_id as a URN in capitals", |mint| {
        respelled(mint, "session_id", |id| id.urn().to_string().to_uppercase())
    }),
    ("sub in capitals", |mint| respelled(mint, "sub", |id| id.to_string().to_uppercase())),
    ("sub without hyphens", |mint| respelled(mint, "sub", |id| id.simple().to_string())),
    ("sub in braces", |mint| respelled(mint, "sub", |id| id.braced().to_string())),
    ("sub as a URN", |mint| respelled(mint, "sub", |id| id.urn().to_string())),
    ("session_id under an escaped name", |mint| {
        let written = mint.claims["session_id"].to_string();
        let member = format!(r#""session\u005fid":{written}"#);
        mint.claiming(with_members(&without(&mint.claims, "session_id"), &member))
    }),
    ("session_id in escaped digits", |mint| {
        let id = mint.claims["session_id"].as_str().unwrap();
        let escaped: Vec<String> = id.bytes().map(|byte| format!("\\u{byte:04x}")).collect();
        claiming(mint, "session_id", &format!("\"{}\"", escaped.concat()))
    }),
    ("white space around and within", |mint| {
        let [header, claims] =
            [mint.header(), mint.claims.clone()].map(|object| format!("\r\n\t {object:#} \n"));
        mint.own().token(header, claims)
    }),
    ("another session in user_metadata", |mint| claiming(mint, "user_metadata", &elsewhere())),
    ("two other sessions in user_metadata", |mint| {
        let twice = elsewhere().replace('}', "") + "," + &elsewhere()[1..];
        claiming(mint, "user_metadata", &twice)
    }),
    ("another session in app_metadata", |mint| claiming(mint, "app_metadata", &elsewhere())),
    ("another session in the header", |mint| {
        mint.headed(with_member(&mint.header(), "x", &elsewhere()))
    }),
    ("user_metadata too deep for any stack", |mint| {
        claiming(mint, "user_metadata", &("[".repeat(10_000) + &"]".repeat(10_000)))
    }),
    ("a number too large for any type", |mint| claiming(mint, "x", "1e999")),
    ("a list of audiences", |mint| claiming(mint, "aud", r#"["authenticated"]"#)),
    ("a list of other audiences too", |mint| claiming(mint, "aud", r#"["","x","authenticated"]"#)),
    ("the end of time", |mint| claiming(mint, "exp", &i64::MAX.to_string())),
    ("no iat", |mint| mint.claiming(without(&mint.claims, "iat").to_string())),
    ("iat and nbf are null", |mint| {
        let undated = with_member(&without(&mint.claims, "iat"), "iat", "null");
        mint.claiming(undated.replacen('{', r#"{"nbf":null,"#, 1))
    }),
    ("iat is before all time", |mint| claiming(mint, "iat", &i64::MIN.to_string())),
    ("no role and no aal", |mint| {
        mint.claiming(without(&without(&mint.claims, "role"), "aal").to_string())
    }),
    ("no typ", |mint| mint.headed(without(&mint.header(), "typ").to_string())),
    ("another typ and a cty", |mint| {
        let typed = json!({"typ": "at+jwt", "cty": "JWT", "zip": "DEF"});
        mint.headed(with_members(&without(&mint.header(), "typ"), inner(&typed.to_string())))
    }),
    ("keys and addresses of keys", |mint| {
        let members = json!({"jku": mint.address, "x5u": mint.address, "x5c": ["AAAA"],
            "jwk": {"kty": "oct", "k": "AAAA"}, "x5t": "AAAA"});
        mint.headed(with_members(&mint.header(), inner(&members.to_string())))
    }),
    ("the names of headers in capitals beside", |mint| {
        mint.headed(with_members(&mint.header(), r#""ALG":"none","KID":"x","CRIT":["x"]"#))
    }),
];

fn claiming(mint: &Mint, claim: &str, written: &str) -> String {
    mint.claiming(with_member(&mint.claims, claim, written))
}

fn respelled(mint: &Mint, claim: &str, spelling: fn(Uuid) -> String) -> String {
    let id = Uuid::parse_str(mint.claims[claim].as_str().unwrap()).unwrap();
    claiming(mint, claim, &json!(spelling(id)).to_string())
}

/// The members of an object, without its braces.
fn inner(object: &str) -> &str {
    &object[1..object.len() - 1]
}

/// What a user may call himself.
fn elsewhere() -> String {
    let other = Uuid::from_u128(7);
    json!({"sub": other, "session_id": other, "exp": 1, "aud": "anon", "role": "service_role"})
        .to_string()
}

/// The same message under the other form of its ES256 signature.
fn under_its_other_signature(mint: &Mint) -> String {
    let token = mint.genuine();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let twin = malleable_twin(&BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap());
    let twin = format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(twin));
    assert_ne!(twin, token);
    twin
}

/// Which logout ends a session.
#[derive(Clone, Copy, Debug)]
struct Ending {
    scope: &'static str,
    /// By the odd token; else by the usual one, or for `others` by another session's.
    by_the_odd: bool,
    /// The gateway has seen both tokens before.
    known: bool,
}

const ENDINGS: [Ending; 3] = [
    Ending { scope: "local", by_the_odd: true, known: true },
    Ending { scope: "local", by_the_odd: false, known: false },
    Ending { scope: "others", by_the_odd: false, known: true },
];

#[rstest]
#[case::where_a_key_signs(Court::OneKey(Algorithm::Es256))]
#[case::where_only_gotrue_knows_the_secret(Court::GoTrue)]
#[tokio::test]
async fn the_end_of_a_session_is_the_end_of_every_token_that_means_it(#[case] court: Court) {
    let stage = court.stage().await;
    for (name, make) in ODD {
        for ending in ENDINGS {
            ends_with_its_session(&stage, court, (name, make), ending).await;
        }
    }
    let keys = stage.calls(".well-known/jwks.json").len();
    assert_eq!(keys, 1, "nobody looks where a token says that keys are");
}

#[tokio::test]
async fn an_altered_es256_signature_does_not_escape_the_revocation_list() {
    let court = Court::OneKey(Algorithm::Es256);
    let stage = court.stage().await;
    let altered = ("under its other signature", under_its_other_signature as Make);
    for scope in ["local", "global", "others"] {
        for (by_the_odd, known) in [(true, true), (true, false), (false, true), (false, false)] {
            let ending = Ending { scope, by_the_odd, known };
            ends_with_its_session(&stage, court, altered, ending).await;
        }
    }
}

async fn ends_with_its_session(
    stage: &Stage,
    court: Court,
    (name, make): (&str, Make),
    ending: Ending,
) {
    let Ending { scope, by_the_odd, known } = ending;
    let case = format!("{name}: {ending:?}");
    let session = stage.sign_up();
    let another = stage.sign_in_again(&session);
    let odd = make(&Mint::new(court, stage, &session.access_token));
    let usual = &session.access_token;
    if known {
        assert_means(&verify(stage, &odd).await, &session, &case);
        assert_means(&verify(stage, usual).await, &session, &case);
    }
    // A token of the cut-off's own second is not before it.
    stage.pass(1);
    let (by, ended): (&str, [&str; 2]) = match (scope, by_the_odd) {
        ("others", true) => (&odd, [&another.access_token; 2]),
        ("others", false) => (&another.access_token, [&odd, usual]),
        (_, true) => (&odd, [usual, &odd]),
        (_, false) => (usual, [&odd, usual]),
    };
    let reply = stage.post(&format!("/logout?scope={scope}")).bearer(by).send().await;
    let told = (reply.status, reply.header("x-logout-outcome"));
    assert_eq!(told, (200, Some("revoked")), "{case}");
    for token in ended {
        let reply = verify(stage, token).await;
        assert_eq!(reply.status, 401, "{case}");
        assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("revoked"));
    }
    let spared = scope == "others" && by_the_odd;
    assert_eq!(stage.alive(&session), spared, "{case}");
    if spared {
        assert_means(&verify(stage, &odd).await, &session, &case);
        assert_means(&verify(stage, usual).await, &session, &case);
    }
}

async fn verify(stage: &Stage, token: &str) -> Reply {
    stage.get("/api/auth/verify").bearer(token).send().await
}

/// It is believed, and the application behind the gateway reads its ids in their one form.
#[track_caller]
fn assert_means(reply: &Reply, session: &Tokens, case: &str) {
    assert_eq!(reply.status, 200, "{case}");
    let ids = [("x-auth-user-id", session.user_id), ("x-auth-session-id", session.session_id)];
    for (name, id) in ids {
        assert_eq!(reply.header(name), Some(&*id.to_string()), "{case}");
    }
}
