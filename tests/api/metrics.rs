//! Section 10 of the contract: each event must increment its own metrics once, and no other metrics.

mod durations;
mod outcomes;
mod queued;
mod samples;

use std::{
    io::Write as _,
    process::{Command, Stdio},
    thread,
    time::UNIX_EPOCH,
};

use axum::Router;
use gotrue_mock::Algorithm;
use logout_gateway::{Clock, Gateway};
use serde_json::json;

use self::samples::{changes, expected_changes, exposition, samples};
use crate::{
    harness::{
        Browser, CookieFormat, RedisServer, Request, Setup, assert_error, claims_of, eventually,
        hs256_token,
    },
    queue::start_with_file_store,
};

fn logout_counter(outcome: &str, reason: &str) -> String {
    format!(r#"logouts_total{{route="/logout",outcome="{outcome}",reason="{reason}"}}"#)
}

#[tokio::test]
async fn each_outcome_of_a_logout_increments_only_its_own_counters() {
    let (app, _directory) = start_with_file_store(Setup::new()).await;
    let logout_fault = |status: u16, times: u32| json!({"operation": "logout", "kind": "status", "status": status, "times": times});
    let gotrue_counter =
        |result: &str| format!(r#"gotrue_requests_total{{operation="logout",result="{result}"}}"#);
    let logout_timer = r#"logout_duration_seconds_count{route="/logout"}"#;
    let gotrue_timer = r#"gotrue_request_duration_seconds_count{operation="logout"}"#;
    // The request has no cookies, so the gateway deletes only the two that it always deletes: session and
    // CSRF cookie.
    let deleted = "cookies_deleted_total +2";

    let tokens = app.sign_up();
    let bearer = || app.post("/logout").bearer(&tokens.access_token);
    let before = samples(&app).await;
    assert_eq!(bearer().send().await.status, 200);
    let revoked = samples(&app).await;
    let revocations = "revocations";
    assert_eq!(
        changes(&before, &revoked),
        expected_changes(&[
            &logout_counter("revoked", "none"),
            &gotrue_counter("ok"),
            logout_timer,
            gotrue_timer,
            deleted,
            revocations
        ])
    );
    assert_eq!(bearer().send().await.status, 200);
    let ended = samples(&app).await;
    assert_eq!(
        changes(&revoked, &ended),
        expected_changes(&[
            // GoTrue has confirmed that the session has ended, so the gateway must not call GoTrue again.
            &logout_counter("already-ended", "none"),
            logout_timer,
            deleted
        ])
    );
    assert_eq!(
        bearer().header("X-CSRF-Token", "a").header("X-CSRF-Token", "b").send().await.status,
        400
    );
    let refused = samples(&app).await;
    let duplicate = r#"requests_refused_total{reason="duplicate_header"}"#;
    assert_eq!(
        changes(&ended, &refused),
        expected_changes(&[
            &logout_counter("refused", "duplicate_header"),
            duplicate,
            logout_timer
        ])
    );

    let tokens = app.sign_up();
    let browser = Browser::signed_in_without_csrf(&app, &tokens, CookieFormat::Raw);
    assert_eq!(browser.request("POST", "/logout").send().await.status, 403);
    let without_token = samples(&app).await;
    let csrf = r#"csrf_refused_total{reason="missing"}"#;
    assert_eq!(
        changes(&refused, &without_token),
        expected_changes(&[&logout_counter("refused", "missing"), csrf, logout_timer])
    );

    app.inject_fault(logout_fault(503, 2));
    let reply = app.post("/logout").bearer(&tokens.access_token).send().await;
    assert_eq!(reply.status, 202);
    let queued = samples(&app).await;
    let unavailable = gotrue_counter("unavailable") + " +2";
    let gotrue_timer_twice = gotrue_timer.to_owned() + " +2";
    assert_eq!(
        changes(&without_token, &queued),
        expected_changes(&[
            &logout_counter("queued", "auth_service_unavailable"),
            &unavailable,
            logout_timer,
            &gotrue_timer_twice,
            deleted,
            revocations,
            "queue_entries"
        ])
    );
    app.advance_time(2);
    eventually("the queued logout is done", async || !app.is_alive(&tokens)).await;
    eventually("the queue is empty", async || samples(&app).await["queue_entries"] == 0).await;
    let done = samples(&app).await;
    let retried = r#"queue_retries_total{result="revoked"}"#;
    assert_eq!(
        changes(&queued, &done),
        expected_changes(&[retried, &gotrue_counter("ok"), gotrue_timer, "queue_entries +-1"])
    );

    let banned = app.sign_up();
    assert!(app.mock.ban_user(banned.user_id));
    let reply = app.post("/logout").bearer(&banned.access_token).send().await;
    assert_eq!(reply.status, 500);
    assert_eq!(
        changes(&done, &samples(&app).await),
        expected_changes(&[
            &logout_counter("failed", "user_banned"),
            &gotrue_counter("refused"),
            logout_timer,
            gotrue_timer,
            deleted,
            revocations
        ])
    );
}

#[tokio::test]
async fn a_logout_that_panics_is_counted_as_failed() {
    let clock = Clock::from_fn(|| {
        assert_ne!(thread::current().name(), Some("serving"), "a clock that fails");
        UNIX_EPOCH
    });
    let setup = Setup::new().flag("supabase-url", "http://127.0.0.1:1");
    let config = setup.flag("admin-bind", "127.0.0.1:0").config();
    let gateway = Gateway::start(config, clock, &Router::new()).unwrap();
    let logout = Request::new(gateway.address.tcp().unwrap(), "POST", "/logout").bearer("x");
    assert_error(&logout.send().await, 500, "INTERNAL", None);
    let admin = gateway.admin_address.as_ref().unwrap().tcp().unwrap();
    let metrics = Request::new(admin, "GET", "/metrics").send().await;
    let counter = r#"logouts_total{route="/logout",outcome="failed",reason="INTERNAL"} 1"#;
    assert!(metrics.text().contains(counter), "{}", metrics.text());
    gateway.stop();
}

#[tokio::test]
async fn gauges_have_the_values_of_the_moment_of_the_scrape() {
    let (app, _directory) = start_with_file_store(Setup::new()).await;
    let at_start = samples(&app).await;
    for gauge in ["revocations", "queue_entries", "queue_oldest_seconds", "requests_in_flight"] {
        assert_eq!(at_start[gauge], 0, "{gauge}");
    }
    assert!((0..60).contains(&at_start["jwks_age_seconds"]));
    let version = format!(r#"build_info{{version="{}"}}"#, env!("CARGO_PKG_VERSION"));
    assert_eq!(at_start[&version], 1);
    assert_eq!(at_start[r#"jwks_refresh_total{result="ok"}"#], 1);

    app.inject_fault(json!({"operation": "logout", "kind": "status", "status": 429,
        "headers": {"Retry-After": "600"}}));
    for seconds in [0, 30] {
        app.advance_time(seconds);
        let token = app.sign_up().access_token;
        assert_eq!(app.post("/logout").bearer(&token).send().await.status, 202);
    }
    app.advance_time(70);
    let now = samples(&app).await;
    assert_eq!((now["queue_entries"], now["queue_oldest_seconds"]), (2, 100));
    assert_eq!(now["revocations"], 2);
}

#[tokio::test]
async fn an_aborted_request_to_gotrue_is_counted_as_a_timeout() {
    let setup = Setup::new().algorithm(Algorithm::Hs256).flag("upstream-timeout", "200ms");
    let (app, _directory) = start_with_file_store(setup).await;
    let token = app.sign_up().access_token;
    app.inject_fault(json!({"operation": "user", "kind": "hang", "times": 1}));
    let before = samples(&app).await;
    let reply = app.get("/api/auth/verify").bearer(&token).send().await;
    assert_eq!(reply.status, 503);
    assert_eq!(
        changes(&before, &samples(&app).await),
        expected_changes(&[
            r#"gotrue_requests_total{operation="user",result="timeout"}"#,
            r#"gotrue_request_duration_seconds_count{operation="user"}"#,
            r#"verify_total{result="auth_service"}"#
        ])
    );
}

#[tokio::test]
async fn a_store_error_is_counted_and_the_other_metrics_are_still_exposed() {
    let redis = RedisServer::start().await;
    let setup = Setup::new().flag("store", &redis.url()).flag("admin-bind", "127.0.0.1:0");
    let app = setup.start().await;
    let token = app.sign_up().access_token;
    let verify = async || app.get("/api/auth/verify").bearer(&token).send().await.status;
    assert_eq!(verify().await, 200);
    redis.kill();
    eventually("verify is 503", async || verify().await == 503).await;
    let now = samples(&app).await;
    assert!(now[r#"store_errors_total{operation="is_revoked"}"#] > 0);
    assert!(
        now[r#"store_errors_total{operation="waiting"}"#] > 0,
        "the length of the queue is unknown"
    );
    assert!(now[r#"verify_total{result="store"}"#] > 0);
}

#[tokio::test]
async fn every_series_is_at_zero_from_the_start_under_the_contracts_name() {
    let (app, _directory) = start_with_file_store(Setup::new()).await;
    let at_start = samples(&app).await;
    let names: std::collections::BTreeSet<&str> =
        at_start.keys().map(|name| name.split('{').next().unwrap()).collect();
    let mut all = vec![
        "build_info",
        "cookies_deleted_total",
        "csrf_refused_total",
        "gotrue_requests_total",
        "jwks_age_seconds",
        "jwks_refresh_total",
        "logouts_total",
        "queue_entries",
        "queue_oldest_seconds",
        "queue_retries_total",
        "requests_in_flight",
        "requests_refused_total",
        "revocations",
        "store_errors_total",
        "verify_total",
    ];
    let histograms = ["gotrue_request_duration_seconds", "logout_duration_seconds"];
    let parts =
        histograms.map(|name| ["bucket", "count", "sum"].map(|part| format!("{name}_{part}")));
    all.extend(parts.iter().flatten().map(String::as_str));
    assert_eq!(names, all.into_iter().collect());
    // The gateway fetches the issuer once, together with the key set.
    let issuer_series = r#"gotrue_requests_total{operation="openid_configuration""#;
    let issuer_requests = at_start.iter().filter(|(name, _)| name.starts_with(issuer_series));
    assert_eq!(issuer_requests.map(|(_, value)| value).sum::<i64>(), 1);
    let nonzero = ["build_info", "health", "jwks", "openid_configuration"];
    for (name, value) in at_start {
        assert!(value == 0 || nonzero.iter().any(|word| name.contains(word)), "{name} {value}");
    }
}

#[tokio::test]
async fn promtool_accepts_the_exposition() {
    let (app, _directory) = start_with_file_store(Setup::new()).await;
    let token = app.sign_up().access_token;
    app.post("/logout").bearer(&token).send().await;
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool = promtool.stdout(Stdio::piped()).spawn().expect("promtool is installed");
    let text = exposition(&app).await;
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let checked = promtool.wait_with_output().unwrap();
    let output = [checked.stdout, checked.stderr].concat();
    assert!(checked.status.success() && output.is_empty(), "{}", String::from_utf8_lossy(&output));
}

#[tokio::test]
async fn no_text_of_a_client_becomes_a_label() {
    let (app, _directory) = start_with_file_store(Setup::new()).await;
    let before = samples(&app).await;
    let tokens = app.sign_up();
    let forged =
        hs256_token(&claims_of(&tokens.access_token), "a-secret-of-someone-else-0123456789");
    for target in ["/x9tell-tale9x", "/logout?scope=x9tell-tale9x", "/logout/x9tell-tale9x"] {
        app.post(target).bearer(&forged).header("X-Request-Id", "an-id-of-a-client").send().await;
    }
    let after = exposition(&app).await;
    assert!(
        !after.contains("tell-tale")
            && !after.contains("an-id")
            && !after.contains(&tokens.user_id.to_string())
    );
    assert!(samples(&app).await.keys().eq(before.keys()));
}
