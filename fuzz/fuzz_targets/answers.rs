//! Feeds responses of GoTrue, or of another server in its place, to the gateway's GoTrue client. It asserts:
//!
//! 1. Only 204 counts as a revocation. If an earlier attempt had an unknown result, `session_not_found`
//!    counts as well.
//! 2. Only a 4xx with a code of section 8 of the contract, to a logout or to `GET /user`, means that the
//!    session or the user does not exist. A response to a refresh never means that.
//! 3. The gateway retries, and so queues, a request only after a response that says nothing about the
//!    request: a 5xx or, of the 4xx, only 429.
//! 4. The client keeps at most 64 KiB of a body, and reads little more.
//! 5. The client returns a user only if the response contains the user of the request.
//! 6. The client's key set verifies only tokens that a key of that key set signed.
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
use logout_gateway::internals::{
    config::Supabase,
    gotrue::{
        Operation, Refusal, RetryAfter,
        answer::{Answer, MAX_BODY_LENGTH},
    },
    outcome::Scope,
    session::{
        jwks::{self, Jwks},
        verifier::{SignatureStatus, Verifier},
    },
};
use logout_gateway_fuzz::{
    configuration,
    members::members,
    server_response::{PIECE, ServerResponse},
};
use secrecy::ExposeSecret;
use seeds::recorded::{RECORDED_AT, access_tokens};
use serde_json::Value;
use tokio::{
    runtime::{Builder, Runtime},
    time::Instant,
};
use uuid::Uuid;

/// The state that all inputs of the target share.
struct Fixture {
    runtime: Runtime,
    supabase: Supabase,
    /// One recorded token for each algorithm.
    signed_tokens: Vec<String>,
}

static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
    let of = |wanted: &str| access_tokens().into_iter().find(|(name, _)| name == wanted);
    let names = ["logout-local-es256", "logout-local-rs256", "logout-local-eddsa"];
    Fixture {
        runtime: Builder::new_current_thread().enable_time().build().expect("a runtime"),
        supabase: configuration::of(&[]).supabase,
        signed_tokens: names.map(|name| of(name).expect("it was recorded").1).to_vec(),
    }
});

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some(sent) = ServerResponse::parse(input) else { return Corpus::Reject };
    let bytes_read = Arc::new(AtomicUsize::new(0));
    let http_response = sent.to_http_response(bytes_read.clone());
    let mut answer =
        FIXTURE.runtime.block_on(Answer::read(sent.operation, None, http_response, deadline()));
    answer.earlier_try_unknown = sent.is_retry;
    assert!(bytes_read.load(Ordering::Relaxed) <= MAX_BODY_LENGTH + PIECE);

    match sent.operation {
        Operation::Logout => check_logout(&sent, &answer),
        Operation::Token => match answer.refreshed() {
            Ok(tokens) => {
                assert_eq!(sent.status, 200);
                let token = text_member(&sent, "access_token");
                assert_eq!(token.as_deref(), Some(tokens.access_token.expose_secret()));
            }
            Err(refusal) => check_refusal(&sent, &refusal),
        },
        Operation::User => {
            let user_in_body = text_member(&sent, "id").and_then(|id| id.parse().ok());
            let user: Uuid = user_in_body.unwrap_or_default();
            match answer.live(user) {
                Ok(()) => assert_eq!(sent.status, 200),
                Err(refusal) => check_refusal(&sent, &refusal),
            }
            let other_user = Uuid::from_u128(user.as_u128() ^ 1);
            assert!(user_in_body.is_none() || answer.live(other_user).is_err());
        }
        Operation::Jwks => match answer.into_key_set(true) {
            Ok(_) if sent.status == 404 => {}
            Ok(body) => {
                assert_eq!((sent.status, body.as_slice()), (200, readable_body(&sent)));
                check_key_set(&body);
            }
            Err(refusal) => check_refusal(&sent, &refusal),
        },
        Operation::OpenidConfiguration | Operation::Health => {}
    }
    Corpus::Keep
});

/// A deadline that no request reaches, because nothing in this target waits.
fn deadline() -> Instant {
    Instant::now() + Duration::from_mins(1)
}

/// The start of the body, of at most `MAX_BODY_LENGTH` bytes, that the gateway reads.
fn readable_body(sent: &ServerResponse) -> &[u8] {
    &sent.body[..sent.body.len().min(MAX_BODY_LENGTH)]
}

fn check_logout(sent: &ServerResponse, answer: &Answer) {
    let is_session_not_found =
        sent.status / 100 == 4 && code(sent).as_deref() == Some("session_not_found");
    match answer.revoked(sent.scope) {
        Ok(()) => {
            let by_an_earlier_try =
                is_session_not_found && sent.is_retry && sent.scope != Scope::Others;
            assert!(sent.status == 204 || by_an_earlier_try, "{sent:?}");
        }
        Err(refusal) => {
            assert_ne!(sent.status, 204);
            check_refusal(sent, &refusal);
        }
    }
}

/// GoTrue's error codes that mean that it refuses a refresh token.
const REFUSED_REFRESH_TOKEN: [&str; 7] = [
    "refresh_token_not_found",
    "refresh_token_already_used",
    "session_expired",
    "session_not_found",
    "user_not_found",
    "validation_failed",
    "bad_json",
];

/// Asserts that section 8 of the contract lets a response with this status and code mean `refusal`.
fn check_refusal(sent: &ServerResponse, refusal: &Refusal) {
    let (status, code) = (sent.status, code(sent));
    let has_code =
        |codes: &[&str]| status / 100 == 4 && code.as_deref().is_some_and(|c| codes.contains(&c));
    let checks_token = matches!(sent.operation, Operation::Logout | Operation::User);
    let is_refresh = sent.operation == Operation::Token;
    let retry_after_is_valid = |retry_after: &Option<RetryAfter>| {
        let value = retry_after.as_ref().map(|value| value.as_header().to_str().expect("text"));
        value.is_none_or(is_retry_after)
    };
    let is_allowed = match refusal {
        Refusal::SessionNotFound => checks_token && has_code(&["session_not_found"]),
        Refusal::UserNotFound => checks_token && has_code(&["user_not_found"]),
        Refusal::UserBanned => (checks_token || is_refresh) && has_code(&["user_banned"]),
        Refusal::BadJwt => checks_token && has_code(&["bad_jwt"]),
        Refusal::RefreshTokenRefused => is_refresh && has_code(&REFUSED_REFRESH_TOKEN),
        Refusal::RateLimited { retry_after } => status == 429 && retry_after_is_valid(retry_after),
        Refusal::Unavailable { retry_after } => {
            matches!(status, 502 | 503) && retry_after_is_valid(retry_after)
        }
        Refusal::GatewayTimeout => status == 504,
        Refusal::Failed => status / 100 == 5 && !matches!(status, 502..=504),
        Refusal::NoAnswer => sent.broken && status == 200 && is_refresh,
        // The client cannot time out, because the whole response is available before the deadline.
        Refusal::Timeout => false,
        Refusal::Unexpected => status != 429 && status / 100 != 5,
    };
    assert!(is_allowed, "{refusal:?} {sent:?}");
    // If the connection breaks in the middle of a 200 response, the result of the request is unknown.
    let is_retryable = status == 429 || status / 100 == 5 || *refusal == Refusal::NoAnswer;
    let is_about_request = has_code(&[
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
    assert!(!refusal.is_passing() || is_retryable, "{refusal:?} {sent:?}");
    assert!(refusal.is_passing() || !is_retryable || is_about_request, "{refusal:?} {sent:?}");
    assert!(refusal.is_passing() || !refusal.is_about_gotrue(), "{refusal:?}");
}

/// Returns whether the text is a number of seconds or a date, the two forms of `Retry-After` (RFC 9110,
/// section 10.2.3).
fn is_retry_after(text: &str) -> bool {
    let date = text.len() >= 24 && text.is_ascii() && text.contains(':');
    text.parse::<u64>().is_ok() || date
}

/// The text of a member of the body's JSON object. Other members need not be valid UTF-8.
fn text_member(sent: &ServerResponse, name: &str) -> Option<String> {
    let members = members(String::from_utf8_lossy(readable_body(sent)).as_bytes())?;
    let (_, value) = members.iter().find(|(n, _)| n == name)?;
    serde_json::from_str(value.get()).ok()
}

/// GoTrue's error code: of the header `X-Sb-Error-Code`, or else of the body's `error_code` (older API
/// version) or `code`.
fn code(sent: &ServerResponse) -> Option<String> {
    let header = sent.headers.get("x-sb-error-code").and_then(|value| value.to_str().ok());
    if let Some(code) = header.filter(|code| !code.is_empty()) {
        return Some(code.to_owned());
    }
    ["error_code", "code"].iter().find_map(|name| text_member(sent, name))
}

fn check_key_set(body: &[u8]) {
    let Ok(algorithms) = jwks::algorithms(body) else { return };
    let asymmetric = ["ES256", "EdDSA", "RS256"];
    assert!(algorithms.keys().all(|name| asymmetric.contains(&name.as_str())), "{algorithms:?}");
    if algorithms.is_empty() {
        return;
    }
    let jwks = Arc::new(Jwks::new(Duration::ZERO, Arc::default()));
    let verifier = Verifier::new(&FIXTURE.supabase, jwks.clone());
    let checked = async {
        while jwks.current().is_none() {
            tokio::task::yield_now().await;
        }
        for token in &FIXTURE.signed_tokens {
            let checked = verifier.verify(token, RECORDED_AT);
            if checked.is_ok_and(|checked| checked.signature == SignatureStatus::Verified) {
                assert!(
                    contains_key_of(token, body),
                    "the token was verified with another key: {token}"
                );
            }
        }
    };
    FIXTURE.runtime.block_on(async {
        tokio::select! {
            () = jwks.keep_fetching(async || Ok::<_, Uuid>(body.to_vec())) => {}
            () = checked => {}
        }
    });
}

/// Returns whether the key set in `body` contains the recorded key that signed the token.
fn contains_key_of(token: &str, body: &[u8]) -> bool {
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

/// The bytes of a base64url-encoded number without leading zeros, so that equal numbers have equal bytes.
fn number(member: &Value) -> Option<Vec<u8>> {
    let octets = BASE64_URL_SAFE_NO_PAD.decode(member.as_str()?).ok()?;
    Some(octets.into_iter().skip_while(|octet| *octet == 0).collect())
}
