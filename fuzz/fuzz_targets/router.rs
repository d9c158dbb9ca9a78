//! Requests through the router, with a GoTrue that answers as the input says.
//!
//! 1. Every reply keeps the contract's statuses, envelope and headers; none is the gateway's own fault.
//! 2. Success is said only if GoTrue said that the session is revoked or gone.
//! 3. GoTrue is asked with the request's scope, and not at all for what is refused.
//! 4. No token, cookie value or secret stands in a reply or a log line.
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
use logout_gateway::{Clock, internals::{clock::from_unix_seconds, failure_log, gateway::state, http::{client_addr::PeerAddress, router, state::AppState}, store::memory::MemoryStore}};
use logout_gateway_fuzz::{
    configuration,
    gotrue::{Call, GoTrue, Script},
    message::{headers, split},
    reply::{Reply, assert_contract, header},
    secrets::{API_KEY, Log, shown_in},
};
use seeds::{
    ALLOWED_ORIGIN, PREVIOUS_SECRET, SECRET,
    recorded::{JWT_SECRET, RECORDED_AT, key_set},
};
use tokio::{net::TcpListener, runtime::Runtime};
use tower::ServiceExt;
use uuid::Uuid;

const LOGOUTS: [&str; 4] = ["/api/auth/logout", "/api/v1/auth/logout", "/logout", "/logout/"];

static NOW: AtomicI64 = AtomicI64::new(RECORDED_AT);

struct World {
    runtime: Runtime,
    gotrue: GoTrue,
    /// The usual configuration, and another.
    gateways: [(Arc<AppState>, Router); 2],
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
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
    World { runtime, gotrue, gateways }
});

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some((script, request)) = request(input) else { return Corpus::Reject };
    let (parts, body) = request.into_parts();
    let (app, router) = &WORLD.gateways[usize::from(script.other)];
    NOW.store(RECORDED_AT + if script.late { 7200 } else { 0 }, Ordering::Relaxed);
    WORLD.gotrue.follow(script.clone());

    let mut request = Request::from_parts(parts.clone(), body);
    request.extensions_mut().insert(PeerAddress(([127, 0, 0, 1], 1).into()));
    let reply = WORLD.runtime.block_on(async {
        let Ok(response) = router.clone().oneshot(request).await;
        let (parts, body) = response.into_parts();
        Reply::from_parts(parts, body.collect().await.expect("a body").to_bytes())
    });
    let calls = WORLD.gotrue.follow(Script::default());
    // Every input begins with an empty revocation list.
    let forgotten = app.logout.store.purge_expired(from_unix_seconds(i64::MAX));
    WORLD.runtime.block_on(forgotten).expect("an empty list");

    assert_contract(&parts, &reply);
    assert_truthful(&script, &parts, &reply, &calls);
    assert_discreet(&parts, &reply);
    Corpus::Keep
});

/// A line of the script, and a request as it stands on the wire.
fn request(input: &[u8]) -> Option<(Script, Request<Body>)> {
    let (script, input) = split(input, b"\n")?;
    let (line, input) = split(input, b"\r\n")?;
    let (head, body) = split(input, b"\r\n\r\n").unwrap_or((input, b""));
    let mut words = line.splitn(3, |byte| *byte == b' ');
    let mut request = Request::new(Body::from(body.to_vec()));
    *request.method_mut() = Method::from_bytes(words.next()?).ok()?;
    *request.uri_mut() = Uri::try_from(words.next()?).ok()?;
    *request.headers_mut() = headers(head);
    Some((Script::read(script)?, request))
}

fn assert_truthful(script: &Script, request: &Parts, reply: &Reply, calls: &[Call]) {
    let status = reply.status().as_u16();
    let logout = request.method == Method::POST && LOGOUTS.contains(&request.uri.path());
    if matches!(status, 400 | 403 | 404 | 405 | 413 | 415) {
        assert!(calls.is_empty(), "{status} {calls:?}");
    }
    let scope = scope(request.uri.query().unwrap_or_default());
    for call in calls {
        let asked = call.target.as_str();
        let right = match asked.split('?').next().unwrap_or_default() {
            "/logout" => {
                logout && asked == format!("/logout?scope={scope}") && call.token.is_some()
            }
            "/token" => logout && asked == "/token?grant_type=refresh_token",
            "/user" => !logout && call.token.is_some(),
            _ => false,
        };
        assert!(right, "{call:?}");
    }
    if !logout {
        return;
    }
    // What GoTrue answers to a refresh proves nothing about the session.
    let refreshing = calls.last().is_some_and(|call| call.target.starts_with("/token"));
    let said = |code: &str| {
        let gone = |call: &Call| call.status / 100 == 4 && call.code == code;
        !refreshing && calls.last().is_some_and(gone)
    };
    let revoked = !refreshing && calls.last().is_some_and(|call| call.status == 204);
    let gone = said("user_not_found") || said("session_not_found") && scope == "local";
    let outcome = header(reply, "x-logout-outcome");
    if status < 300 {
        assert!(revoked || gone && !script.other, "{calls:?} {reply:?}");
        assert_eq!(outcome, Some(if revoked { "revoked" } else { "already-ended" }));
    }
    match outcome {
        Some("revoked") => assert!(revoked, "{calls:?}"),
        Some("already-ended") => assert!(gone, "{calls:?}"),
        Some("failed") => assert!(!revoked && status >= 400, "{calls:?}"),
        None => assert!(matches!(status, 400 | 401 | 403 | 413 | 415), "{reply:?}"),
        Some(_) => panic!("{reply:?}"),
    }
    if scope == "others" || status == 403 {
        assert_eq!(reply.headers().get("set-cookie"), None);
        assert_eq!(reply.headers().get("clear-site-data"), None);
    }
}

/// The one that the request names, if it is one.
fn scope(query: &str) -> String {
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let decoded = |text: &str| {
        let text = text.replace('+', " ");
        percent_encoding::percent_decode_str(&text).decode_utf8_lossy().into_owned()
    };
    let mut scopes = pairs.filter(|(name, _)| decoded(name) == "scope");
    scopes.next().map_or("local".to_owned(), |(_, scope)| decoded(scope))
}

fn assert_discreet(request: &Parts, reply: &Reply) {
    let asked_for_id = request.headers.get("x-request-id").and_then(|id| id.to_str().ok());
    let without_id = |text: &str| match asked_for_id {
        Some(id) if !id.is_empty() => text.replace(id, ""),
        _ => text.to_owned(),
    };
    let logged = without_id(&Log::taken());
    assert_eq!(shown_in(&logged, &request.headers), None, "{logged}");
    let path = request.uri.path();
    // Pages of the gateway's own, and the one reply that hands a token out.
    if path.starts_with("/docs") || path == "/openapi.json" || path == "/api/auth/csrf" {
        return;
    }
    let headers = reply.headers().iter().filter(|(name, _)| *name != "set-cookie");
    let values = headers.filter_map(|(_, value)| value.to_str().ok());
    let body = std::str::from_utf8(reply.body()).expect("text");
    let shown = without_id(&values.chain([body]).collect::<Vec<_>>().join("\n"));
    assert_eq!(shown_in(&shown, &request.headers), None, "{reply:?}");
}
