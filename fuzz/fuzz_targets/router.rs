//! Sends requests through the gateway's router, with a GoTrue whose responses are part of the input.
//!
//! 1. Every reply has a status, an envelope and headers that the contract lists; none is an internal error.
//! 2. A reply is a success only if GoTrue has revoked the session or does not have it.
//! 3. The gateway calls GoTrue with the scope of the request, and does not call it for a refused request.
//! 4. No reply and no log line contains a token, a cookie value or a secret.
#![no_main]

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};

use axum::{
    Router,
    body::Body,
    http::{Method, Request, Uri, request::Parts},
};
use http_body_util::BodyExt;
use libfuzzer_sys::{Corpus, fuzz_target};
use logout_gateway::{
    Clock,
    internals::{
        clock::from_unix_seconds,
        failure_log,
        gateway::state,
        http::{client_addr::PeerAddress, router, state::AppState},
        store::memory::MemoryStore,
    },
};
use logout_gateway_fuzz::{
    configuration,
    gotrue::{Call, GoTrue, Script},
    message::{headers, split},
    reply::{Reply, assert_contract, header},
    secrets::{API_KEY, Log, find_secret},
};
use seeds::{
    ALLOWED_ORIGIN, PREVIOUS_SECRET, SECRET,
    recorded::{JWT_SECRET, RECORDED_AT, key_set},
};
use tokio::{net::TcpListener, runtime::Runtime};
use tower::ServiceExt;
use uuid::Uuid;

const LOGOUT_PATHS: [&str; 6] = [
    "/api/auth/logout",
    "/api/auth/logout/",
    "/api/v1/auth/logout",
    "/api/v1/auth/logout/",
    "/logout",
    "/logout/",
];

static NOW: AtomicI64 = AtomicI64::new(RECORDED_AT);

/// The state that all inputs of the target share.
struct Fixture {
    runtime: Runtime,
    gotrue: GoTrue,
    /// One gateway with the default configuration, and one with `other_configuration`.
    gateways: [(Arc<AppState>, Router); 2],
}

static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
    Log::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let gotrue = GoTrue::default();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
    let address = listener.local_addr().expect("an address");
    runtime.spawn(gotrue.clone().serve(listener));
    let url = format!("http://{address}/auth/v1");
    let both = [
        ("gotrue-url", url.as_str()),
        ("secret", SECRET),
        ("supabase-anon-key", API_KEY),
        ("allowed-origins", ALLOWED_ORIGIN),
        ("trusted-proxies", "127.0.0.1"),
    ];
    let usual = [("secret-previous", PREVIOUS_SECRET)];
    let other = [
        ("supabase-jwt-secret", JWT_SECRET),
        ("csrf-mode", "double-submit"),
        ("session-not-found", "unauthorized"),
        ("clear-site-data", "cache,storage"),
        ("cookie-domains", "example.com"),
        ("cookie-partitioned", "true"),
    ];
    let gateways = [usual.as_slice(), &other].map(|flags| {
        let clock = Clock::from_fn(|| {
            UNIX_EPOCH + Duration::from_secs(NOW.load(Ordering::Relaxed).unsigned_abs())
        });
        let config = configuration::of(&[both.as_slice(), flags].concat());
        let app = Arc::new(
            state::first(config, clock, Arc::new(MemoryStore::default()), failure_log::channel().0)
                .expect("a gateway"),
        );
        let jwks = app.jwks.clone();
        runtime.spawn(async move {
            jwks.keep_fetching(async || Ok::<_, Uuid>(key_set().into())).await;
        });
        (app.clone(), router::public(app, Router::new()))
    });
    Fixture { runtime, gotrue, gateways }
});

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some((script, request)) = request(input) else { return Corpus::Reject };
    let (parts, body) = request.into_parts();
    let (app, router) = &FIXTURE.gateways[usize::from(script.other_configuration)];
    NOW.store(RECORDED_AT + if script.expired { 7200 } else { 0 }, Ordering::Relaxed);
    FIXTURE.gotrue.set_script(script.clone());

    let mut request = Request::from_parts(parts.clone(), body);
    request.extensions_mut().insert(PeerAddress::Tcp(([127, 0, 0, 1], 1).into()));
    let reply = FIXTURE.runtime.block_on(async {
        let Ok(response) = router.clone().oneshot(request).await;
        let (parts, body) = response.into_parts();
        Reply::from_parts(parts, body.collect().await.expect("a body").to_bytes())
    });
    let calls = FIXTURE.gotrue.set_script(Script::default());
    // Empty the revocation list, so that this input does not change the result of the next one.
    let purge = app.logout.store.purge_expired(from_unix_seconds(i64::MAX));
    FIXTURE.runtime.block_on(purge).expect("an empty list");

    assert_contract(&parts, &reply);
    assert_truthful(&script, &parts, &reply, &calls);
    assert_no_secret_shown(&parts, &reply);
    Corpus::Keep
});

/// Parses an input: a line that describes GoTrue's responses, and then a request in HTTP/1.1.
fn request(input: &[u8]) -> Option<(Script, Request<Body>)> {
    let (script, input) = split(input, b"\n")?;
    let (line, input) = split(input, b"\r\n")?;
    let (head, body) = split(input, b"\r\n\r\n").unwrap_or((input, b""));
    let mut words = line.splitn(3, |byte| *byte == b' ');
    let mut request = Request::new(Body::from(body.to_vec()));
    *request.method_mut() = Method::from_bytes(words.next()?).ok()?;
    *request.uri_mut() = Uri::try_from(words.next()?).ok()?;
    *request.headers_mut() = headers(head);
    Some((Script::parse(script)?, request))
}

fn assert_truthful(script: &Script, request: &Parts, reply: &Reply, calls: &[Call]) {
    let status = reply.status().as_u16();
    let logout = request.method == Method::POST && LOGOUT_PATHS.contains(&request.uri.path());
    if matches!(status, 400 | 403 | 404 | 405 | 413 | 415) {
        assert!(calls.is_empty(), "{status} {calls:?}");
    }
    let scope = scope(request.uri.query().unwrap_or_default());
    for call in calls {
        let target = call.target.as_str();
        let is_allowed = match target.split('?').next().unwrap_or_default() {
            "/logout" => {
                logout && target == format!("/logout?scope={scope}") && call.token.is_some()
            }
            "/token" => logout && target == "/token?grant_type=refresh_token",
            "/user" => call.token.is_some(),
            _ => false,
        };
        assert!(is_allowed, "{call:?}");
    }
    if !logout {
        return;
    }
    // GoTrue's response to a refresh does not prove that the session has ended. A jar may show several sessions, so
    // there may be several logouts.
    let logouts = || calls.iter().filter(|call| call.target.starts_with("/logout"));
    let is_revoked = |call: &Call| call.status == 204;
    let is_gone = |call: &Call| {
        call.status / 100 == 4
            && (call.code == "user_not_found"
                || call.code == "session_not_found" && scope == "local")
    };
    let (revoked, gone) = (logouts().any(is_revoked), logouts().any(is_gone));
    let outcome = header(reply, "x-logout-outcome");
    if status < 300 {
        assert!(revoked || gone && !script.other_configuration, "{calls:?} {reply:?}");
        assert_eq!(outcome, Some(if revoked { "revoked" } else { "already-ended" }));
    }
    match outcome {
        Some("revoked") => assert!(revoked, "{calls:?}"),
        Some("already-ended") => assert!(gone && !revoked, "{calls:?}"),
        Some("failed") => {
            let all_ended = logouts().all(|call| is_revoked(call) || is_gone(call));
            assert!(status >= 400 && (!all_ended || !revoked), "{calls:?}");
        }
        None => assert!(matches!(status, 400 | 401 | 403 | 413 | 415), "{reply:?}"),
        Some(_) => panic!("{reply:?}"),
    }
    if scope == "others" || status == 403 {
        assert_eq!(reply.headers().get("set-cookie"), None);
        assert_eq!(reply.headers().get("clear-site-data"), None);
    }
}

/// The logout scope in the query, or `local` if the query has none.
fn scope(query: &str) -> String {
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let decoded = |text: &str| {
        let text = text.replace('+', " ");
        percent_encoding::percent_decode_str(&text).decode_utf8_lossy().into_owned()
    };
    let mut scopes = pairs.filter(|(name, _)| decoded(name) == "scope");
    scopes.next().map_or("local".to_owned(), |(_, scope)| decoded(scope))
}

fn assert_no_secret_shown(request: &Parts, reply: &Reply) {
    let requested_id = request.headers.get("x-request-id").and_then(|id| id.to_str().ok());
    let without_id = |text: &str| match requested_id {
        Some(id) if !id.is_empty() => text.replace(id, ""),
        _ => text.to_owned(),
    };
    let logged = without_id(&Log::take_lines());
    assert_eq!(find_secret(&logged, &request.headers), None, "{logged}");
    let path = request.uri.path();
    // Do not search documentation pages, which are long fixed texts, and `csrf`, which returns a token on
    // purpose.
    if path.starts_with("/docs") || path == "/openapi.json" || path == "/api/auth/csrf" {
        return;
    }
    let headers = reply.headers().iter().filter(|(name, _)| *name != "set-cookie");
    let values = headers.filter_map(|(_, value)| value.to_str().ok());
    let body = std::str::from_utf8(reply.body()).expect("text");
    let shown = without_id(&values.chain([body]).collect::<Vec<_>>().join("\n"));
    assert_eq!(find_secret(&shown, &request.headers), None, "{reply:?}");
}
