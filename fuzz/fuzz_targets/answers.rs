//! GoTrue's answers, or those of another server in its place.
//!
//! 1. Only 204 says that a logout revoked; after a try whose outcome is unknown, so does a session
//!    that is gone.
//! 2. Only a 4xx with the code of section 8 of the contract, in answer to a logout or to `GET /user`, says
//!    that session or user are gone. An answer to a refresh never does.
//! 3. Only what says nothing about the request is passing, and so queued: no 4xx but 429 is.
//! 4. No more than 64 KiB of a body is kept, and hardly more is read.
//! 5. A user is live only by an answer that shows this user.
//! 6. A key set verifies nothing that its own keys did not sign.
#![no_main]

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use libfuzzer_sys::{Corpus, fuzz_target};
use logout_gateway::internals::{config::Supabase, gotrue::{Operation, Refusal, RetryAfter, answer::{Answer, MAX_BODY_LENGTH}}, outcome::Scope, session::{jwks::{self, Jwks}, verifier::{SignatureStatus, Verifier}}};
use logout_gateway_fuzz::{
    answering::{Answering, PIECE},
    configuration,
    members::members,
};
use secrecy::ExposeSecret;
use seeds::recorded::{RECORDED_AT, access_tokens};
use serde_json::Value;
use tokio::{
    runtime::{Builder, Runtime},
    time::Instant,
};
use uuid::Uuid;

struct World {
    runtime: Runtime,
    supabase: Supabase,
    /// A token of each algorithm.
    signed: Vec<String>,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let of = |wanted: &str| access_tokens().into_iter().find(|(name, _)| name == wanted);
    let names = ["logout-local-es256", "logout-local-rs256", "logout-local-eddsa"];
    World {
        runtime: Builder::new_current_thread().enable_time().build().expect("a runtime"),
        supabase: configuration::of(&[]).supabase,
        signed: names.map(|name| of(name).expect("it was recorded").1).to_vec(),
    }
});

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some(answering) = Answering::read(input) else { return Corpus::Reject };
    let taken = Arc::new(AtomicUsize::new(0));
    let response = answering.response(taken.clone());
    let mut answer =
        WORLD.runtime.block_on(Answer::read(answering.operation, None, response, far()));
    answer.earlier_try_unknown = answering.again;
    assert!(taken.load(Ordering::Relaxed) <= MAX_BODY_LENGTH + PIECE);

    match answering.operation {
        Operation::Logout => judge_logout(&answering, &answer),
        Operation::Token => match answer.refreshed() {
            Ok(tokens) => {
                assert_eq!(answering.status, 200);
                let sent = text_of(&answering, "access_token");
                assert_eq!(sent.as_deref(), Some(tokens.access_token.expose_secret()));
            }
            Err(refusal) => judge_refusal(&answering, &refusal),
        },
        Operation::User => {
            let shown = text_of(&answering, "id").and_then(|id| id.parse().ok());
            let user: Uuid = shown.unwrap_or_default();
            match answer.live(user) {
                Ok(()) => assert_eq!(answering.status, 200),
                Err(refusal) => judge_refusal(&answering, &refusal),
            }
            let stranger = Uuid::from_u128(user.as_u128() ^ 1);
            assert!(shown.is_none() || answer.live(stranger).is_err());
        }
        Operation::Jwks => match answer.into_key_set(true) {
            Ok(_) if answering.status == 404 => {}
            Ok(body) => {
                assert_eq!((answering.status, body.as_slice()), (200, kept(&answering)));
                judge_key_set(&body);
            }
            Err(refusal) => judge_refusal(&answering, &refusal),
        },
        Operation::Health => {}
    }
    Corpus::Keep
});

/// Nothing in here waits.
fn far() -> Instant {
    Instant::now() + Duration::from_mins(1)
}

/// What there is of the body to judge by.
fn kept(answering: &Answering) -> &[u8] {
    &answering.body[..answering.body.len().min(MAX_BODY_LENGTH)]
}

fn judge_logout(answering: &Answering, answer: &Answer) {
    let gone =
        answering.status / 100 == 4 && code(answering).as_deref() == Some("session_not_found");
    match answer.revoked(answering.scope) {
        Ok(()) => {
            let by_an_earlier_try = gone && answering.again && answering.scope != Scope::Others;
            assert!(answering.status == 204 || by_an_earlier_try, "{answering:?}");
        }
        Err(refusal) => {
            assert_ne!(answering.status, 204);
            judge_refusal(answering, &refusal);
        }
    }
}

/// GoTrue's codes for a refresh token that it gives no access token for.
const REFUSED_REFRESH_TOKEN: [&str; 7] = [
    "refresh_token_not_found",
    "refresh_token_already_used",
    "session_expired",
    "session_not_found",
    "user_not_found",
    "validation_failed",
    "bad_json",
];

/// Section 8 of the contract, read the other way round: which answers may have this meaning.
fn judge_refusal(answering: &Answering, refusal: &Refusal) {
    let (status, code) = (answering.status, code(answering));
    let said =
        |codes: &[&str]| status / 100 == 4 && code.as_deref().is_some_and(|c| codes.contains(&c));
    let about_the_token = matches!(answering.operation, Operation::Logout | Operation::User);
    let refreshing = answering.operation == Operation::Token;
    let passed_on = |retry_after: &Option<RetryAfter>| {
        let value = retry_after.as_ref().map(|value| value.as_header().to_str().expect("text"));
        value.is_none_or(is_retry_after)
    };
    let right = match refusal {
        Refusal::SessionNotFound => about_the_token && said(&["session_not_found"]),
        Refusal::UserNotFound => about_the_token && said(&["user_not_found"]),
        Refusal::UserBanned => (about_the_token || refreshing) && said(&["user_banned"]),
        Refusal::BadJwt => about_the_token && said(&["bad_jwt"]),
        Refusal::RefreshTokenRefused => refreshing && said(&REFUSED_REFRESH_TOKEN),
        Refusal::RateLimited { retry_after } => status == 429 && passed_on(retry_after),
        Refusal::Unavailable { retry_after } => {
            matches!(status, 502 | 503) && passed_on(retry_after)
        }
        Refusal::GatewayTimeout => status == 504,
        Refusal::Failed => status / 100 == 5 && !matches!(status, 502..=504),
        Refusal::NoAnswer => answering.broken && status == 200 && refreshing,
        // The whole answer was there before the budget was used up.
        Refusal::Timeout => false,
        Refusal::Unexpected => status != 429 && status / 100 != 5,
    };
    assert!(right, "{refusal:?} {answering:?}");
    // A connection that breaks within a success leaves open what became of the request.
    let passing = status == 429 || status / 100 == 5 || *refusal == Refusal::NoAnswer;
    let about_the_request = said(&[
        "session_not_found",
        "user_not_found",
        "user_banned",
        "bad_jwt",
        "refresh_token_not_found",
        "refresh_token_already_used",
        "session_expired",
        "validation_failed",
        "bad_json",
    ]);
    assert!(!refusal.is_passing() || passing, "{refusal:?} {answering:?}");
    assert!(refusal.is_passing() || !passing || about_the_request, "{refusal:?} {answering:?}");
    assert!(refusal.is_passing() || !refusal.is_about_gotrue(), "{refusal:?}");
}

/// Seconds, or a date: RFC 9110, section 10.2.3.
fn is_retry_after(text: &str) -> bool {
    let date = text.len() >= 24 && text.is_ascii() && text.contains(':');
    text.parse::<u64>().is_ok() || date
}

/// A member of the body that is text. What is beside it may be no Unicode.
fn text_of(answering: &Answering, name: &str) -> Option<String> {
    let members = members(String::from_utf8_lossy(kept(answering)).as_bytes())?;
    let (_, value) = members.iter().find(|(n, _)| n == name)?;
    serde_json::from_str(value.get()).ok()
}

/// By the header, else by the body: `error_code` of the older version, or `code`.
fn code(answering: &Answering) -> Option<String> {
    let header = answering.headers.get("x-sb-error-code").and_then(|value| value.to_str().ok());
    if let Some(code) = header.filter(|code| !code.is_empty()) {
        return Some(code.to_owned());
    }
    ["error_code", "code"].iter().find_map(|name| text_of(answering, name))
}

fn judge_key_set(body: &[u8]) {
    let Ok(algorithms) = jwks::algorithms(body) else { return };
    let asymmetric = ["ES256", "EdDSA", "RS256"];
    assert!(algorithms.keys().all(|name| asymmetric.contains(&name.as_str())), "{algorithms:?}");
    if algorithms.is_empty() {
        return;
    }
    let jwks = Arc::new(Jwks::new(Duration::ZERO, Arc::default()));
    let verifier = Verifier::new(&WORLD.supabase, jwks.clone());
    let judged = async {
        while jwks.current().is_none() {
            tokio::task::yield_now().await;
        }
        for token in &WORLD.signed {
            let judged = verifier.verify_or_refetch(token, RECORDED_AT).await;
            if judged.is_ok_and(|judged| judged.signature == SignatureStatus::Verified) {
                assert!(holds_the_key_of(token, body), "verified without its key: {token}");
            }
        }
    };
    WORLD.runtime.block_on(async {
        tokio::select! {
            () = jwks.keep_fetching(async || Ok::<_, Uuid>(body.to_vec())) => {}
            () = judged => {}
        }
    });
}

/// Whether the recorded key itself stands in the set.
fn holds_the_key_of(token: &str, body: &[u8]) -> bool {
    let header = seeds::recorded::part(token, 0).expect("a recorded token");
    let header: Value = serde_json::from_str(&header).expect("a recorded token");
    let recorded: Value =
        serde_json::from_str(seeds::recorded::SIGNING_KEYS).expect("the keys are JSON");
    let recorded = &recorded[header["alg"].as_str().expect("text")];
    let body: Value = serde_json::from_slice(body).expect("a key set is JSON");
    let same = |key: &Value, name: &str| {
        recorded[name].is_null() || number(&key[name]) == number(&recorded[name])
    };
    let keys = body["keys"].as_array().expect("keys");
    keys.iter().any(|key| {
        key["kid"] == header["kid"] && ["x", "y", "n", "e"].iter().all(|name| same(key, name))
    })
}

/// Zeros in front change nothing.
fn number(member: &Value) -> Option<Vec<u8>> {
    let octets = BASE64_URL_SAFE_NO_PAD.decode(member.as_str()?).ok()?;
    Some(octets.into_iter().skip_while(|octet| *octet == 0).collect())
}
