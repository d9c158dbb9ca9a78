//! The status page that a browser gets from the admin listener.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use gotrue_mock::Algorithm;
use logout_gateway::internals::{
    clock::from_unix_seconds,
    config::StoreAddress,
    queue::{
        bounds::Bounds,
        entry::{NEVER, QueueEntry, SealedCredentials},
    },
    store::{self, failure::Failure},
};
use rstest::rstest;
use serde_json::json;
use uuid::Uuid;

use crate::{
    harness::{
        API_KEY, Browser, CookieFormat, RedisServer, Reply, Request, SECRET, START_TIME, Setup,
        TestApp, eventually,
    },
    queue::start_with_file_store,
};

async fn page(app: &TestApp) -> Reply {
    let reply = Request::new(app.admin_address.unwrap(), "GET", "/").send().await;
    assert_eq!(reply.status, 200);
    reply
}

/// The text of the status page without its HTML tags.
async fn text(app: &TestApp) -> String {
    let html = page(app).await.text();
    let (_, body) = html.split_once("<body>").unwrap();
    let texts = body.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text));
    let words: Vec<&str> = texts.flat_map(str::split_whitespace).collect();
    words.join(" ")
}

#[track_caller]
fn assert_contains(page: &str, texts: &[&str]) {
    for text in texts {
        assert!(page.contains(text), "{text}: {page}");
    }
}

async fn start_with_admin(setup: Setup) -> TestApp {
    setup.flag("admin-bind", "127.0.0.1:0").start().await
}

async fn log_out(app: &TestApp, token: &str, target: &str, id: &str, status: u16) {
    let request = app.post(target).bearer(token).header("X-Request-Id", id);
    assert_eq!(request.send().await.status, status, "{id}");
}

/// Sends logouts with every outcome: 5 revoked, 4 already ended, 3 queued, 2 failed and 1 refused.
async fn send_logouts_of_every_outcome(app: &TestApp) {
    for n in 0..5 {
        let token = app.sign_up().access_token;
        log_out(app, &token, "/logout", "revoked", 200).await;
        if n < 4 {
            log_out(app, &token, "/logout", "ended", 200).await;
        }
    }
    for id in ["failed-1", "failed-2"] {
        let banned = app.sign_up();
        assert!(app.mock.ban_user(banned.user_id));
        let route = "/api/v1/auth/logout?scope=global";
        log_out(app, &banned.access_token, route, id, 500).await;
    }
    app.inject_fault(json!({"operation": "logout", "kind": "status", "status": 429,
        "headers": {"Retry-After": "3000"}}));
    for id in ["queued-1", "queued-2", "queued-3"] {
        let token = app.sign_up().access_token;
        log_out(app, &token, "/api/auth/logout", id, 202).await;
    }
    log_out(app, "x", "/logout", "refused", 401).await;
}

#[tokio::test]
async fn the_outcomes_of_logouts_are_counted_drawn_and_listed() {
    let (app, _directory) = start_with_file_store(Setup::new()).await;
    send_logouts_of_every_outcome(&app).await;
    let page = page(&app).await.text();
    let totals = "5 revoked, 4 already-ended, 3 queued, 2 failed, 1 refused";
    let alternative = format!("Logouts by minute: {totals}. The busiest minute had 15.");
    assert!(page.contains(&format!(r#"role="img" aria-label="{alternative}""#)), "{page}");
    assert!(page.contains(&format!("<title>this minute: {totals}</title>")), "{page}");
    // The chart is 1000 units high. The height of each bar is its share of the 15 logouts, and the bars are
    // stacked.
    for (outcome, y, height) in [
        ("revoked", 0, 333),
        ("already-ended", 333, 266),
        ("queued", 599, 200),
        ("failed", 799, 133),
        ("refused", 932, 66),
    ] {
        let bar = format!(
            r#"<rect class="{outcome}" x="590" y="{y}" width="8" height="{height}"></rect>"#
        );
        assert!(page.contains(&bar), "{bar}: {page}");
    }
    let legend = "revoked 5 already-ended 4 queued 3 failed 2 refused 1";
    assert_contains(&text(&app).await, &["since the start, ", " ago", legend]);
}

#[tokio::test]
async fn the_queue_and_the_last_failures_are_listed() {
    let (app, _directory) = start_with_file_store(Setup::new()).await;
    assert_contains(&text(&app).await, &["Queue No logout is queued", "Last failures None."]);
    send_logouts_of_every_outcome(&app).await;
    app.advance_time(100);
    let are_logged =
        async || app.admin_json("/failures").await["failures"].as_array().unwrap().len() == 5;
    eventually("the failure log has all entries", are_logged).await;
    let failed = "failed user_banned 403 /api/v1/auth/logout global failed-2";
    let queued = "queued RATE_LIMITED 429 /api/auth/logout local queued-3";
    let queue_text =
        "3 logouts wait The oldest has waited for 1m 40s. Why they wait RATE_LIMITED 3";
    let text = text(&app).await;
    assert_contains(&text, &[queue_text, &format!("2027-01-15T08:00:00Z {queued}"), failed]);
    assert!(text.find("queued-3") < text.find("failed-1"), "the newest first: {text}");
}

#[tokio::test]
async fn only_the_last_ten_failures_and_the_next_twenty_queue_entries_are_listed() {
    let (app, _directory) = start_with_file_store(Setup::new()).await;
    app.inject_fault(json!({"operation": "logout", "kind": "status", "status": 429,
        "headers": {"Retry-After": "3000"}}));
    for n in 0..21 {
        let token = app.sign_up().access_token;
        log_out(&app, &token, "/logout", &format!("n-{n}."), 202).await;
    }
    eventually("the page has the last failure", async || text(&app).await.contains("n-20.")).await;
    let text = text(&app).await;
    assert_contains(&text, &["21 logouts wait", "Why the next 20 wait RATE_LIMITED 20", "n-11."]);
    assert!(!text.contains("n-10."), "{text}");
}

#[rstest]
#[case::es256(Algorithm::Es256, "ES256 ×1")]
#[case::hs256(Algorithm::Hs256, "No keys: the project signs with HS256")]
#[tokio::test]
async fn a_ready_gateway_is_shown_as_ready(#[case] algorithm: Algorithm, #[case] keys: &str) {
    let app = start_with_admin(Setup::new().algorithm(algorithm)).await;
    let text = text(&app).await;
    let version = concat!("logout-gateway ", env!("CARGO_PKG_VERSION"), " Ready Running for ");
    let memory = "None: with GATEWAY_STORE=memory no logout is queued.";
    assert_contains(&text, &[version, "As of 2027-01-15T08:00:00Z", memory]);
    assert_contains(
        &text,
        &[&format!("Key set {keys} Fetched "), "/queue /failures /metrics /readyz"],
    );
    assert!(!text.contains("Not ready"), "{text}");
}

#[tokio::test]
async fn the_page_counts_the_keys_of_each_algorithm() {
    let app = start_with_admin(Setup::new()).await;
    app.mock.rotate_keys_keeping_old().unwrap();
    // A token that the new key signed makes the gateway fetch the key set again.
    assert_eq!(app.verify(&app.sign_up()).await, 200);
    assert_contains(&text(&app).await, &["ES256 ×2"]);
}

#[tokio::test]
async fn a_missing_store_and_key_set_are_named_and_the_rest_is_shown() {
    let redis = RedisServer::start().await;
    let no_keys = json!({"operation": "jwks", "kind": "status", "status": 500});
    let setup = Setup::new().without_readiness_check().flag("store", &redis.url());
    let app = setup.flag("admin-bind", "127.0.0.1:0").start_with_faults(&[no_keys]).await;
    log_out(&app, "x", "/logout", "refused", 401).await;
    let unread = "The store of ended sessions does not answer";
    eventually("the list is read", async || !text(&app).await.contains(unread)).await;
    app.advance_time(50);
    redis.kill();
    let store = "The store of ended sessions does not answer. Since 2027-01-15T08:00:50Z";
    eventually("the page says that the store is missing", async || {
        text(&app).await.contains(store)
    })
    .await;

    app.advance_time(100);
    let text = text(&app).await;
    let keys = "The project's keys are not known yet. Since 2027-01-15T08:00:00Z , 2m 30s ago.";
    assert_contains(&text, &["Not ready", &format!("{store} , 1m 40s ago."), keys]);
    assert_contains(&text, &["No key may be used: none was fetched for ", "failed 0 refused 1"]);
    assert_eq!(text.matches("The store cannot be read now").count(), 2, "{text}");
}

#[tokio::test]
async fn the_page_refreshes_itself_and_loads_and_runs_nothing() {
    let (app, _directory) = start_with_file_store(Setup::new()).await;
    send_logouts_of_every_outcome(&app).await;
    let reply = page(&app).await;
    let page = reply.text();
    assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(page.contains(r#"<meta http-equiv="refresh" content="10">"#));
    let (_, style) = page.split_once("<style>").unwrap();
    let (style, _) = style.split_once("</style>").unwrap();
    let hash = BASE64_STANDARD.encode(digest(&SHA256, style.as_bytes()));
    let policy = reply.header("content-security-policy").unwrap();
    let directives: Vec<&str> = policy.split("; ").collect();
    let own_style = format!("style-src 'sha256-{hash}'");
    for directive in ["default-src 'none'", &own_style, "frame-ancestors 'none'"] {
        assert!(directives.contains(&directive), "{directive}: {policy}");
    }
    assert!(!policy.contains("script-src") && !policy.contains("unsafe"), "{policy}");
    for foreign in ["<script", " src=", "style=", "url(", "@import", "href=\"http", "href=\"/"] {
        assert!(!page.contains(foreign), "{foreign}: {page}");
    }
}

#[tokio::test]
async fn no_secret_is_on_the_page() {
    let setup = Setup::new().flag("supabase-anon-key", API_KEY);
    let (app, _directory) = start_with_file_store(setup).await;
    let user = app.mock.create_user("jane.doe@example.com", "a-password");
    let tokens = app.mock.sign_in(user).unwrap();
    let mut browser = Browser::signed_in(&app, &tokens, CookieFormat::Base64).await;
    let csrf_token = app.csrf_token(&tokens).await;
    app.inject_fault(json!({"operation": "logout", "kind": "status", "status": 429,
        "headers": {"Retry-After": "3000"}}));
    assert_eq!(browser.logout("/logout").await.status, 202);
    eventually("the page has the failure", async || text(&app).await.contains("429 /logout")).await;
    let page = page(&app).await.text();
    let secrets = [&tokens.access_token, &tokens.refresh_token, &csrf_token];
    for secret in secrets.into_iter().map(String::as_str).chain(["jane.doe", SECRET, API_KEY]) {
        assert!(!page.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_hostile_record_is_escaped() {
    const HOSTILE: &str = r#"</td></style>"'><script>alert(1)</script><img src=x onerror=y>&lt;"#;
    let hostile = || HOSTILE.to_owned();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = store::open(&StoreAddress::File(path.clone())).await.unwrap();
    let failure = Failure {
        time: from_unix_seconds(START_TIME),
        request_id: hostile(),
        route: HOSTILE.into(),
        scope: HOSTILE.into(),
        outcome: HOSTILE.into(),
        user_id: Uuid::nil(),
        session_id: Uuid::nil(),
        code: Some(hostile()),
        reason: HOSTILE.into(),
        upstream_status: None,
    };
    store.append_failures(&[failure]).await.unwrap();
    let entry = QueueEntry {
        id: Uuid::new_v4(),
        request_id: hostile(),
        route: HOSTILE.into(),
        scope: HOSTILE.into(),
        user_id: Uuid::nil(),
        session_id: Uuid::nil(),
        tried: false,
        was_over: false,
        queued_at: from_unix_seconds(START_TIME),
        renewed_at: NEVER,
        due: from_unix_seconds(START_TIME + 3000),
        failed_at: NEVER,
        attempts: 1,
        reason: HOSTILE.into(),
        revision: 0,
        credentials: vec![SealedCredentials {
            fingerprint: hostile(),
            former_fingerprint: None,
            proven: true,
            exp: 0,
            key_id: hostile(),
            sealed: hostile(),
            bound_to: None,
        }],
    };
    let (pause, bounds) = (Duration::from_mins(50), Bounds::new(1 << 20, 1 << 17));
    let queued =
        store.queue().unwrap().enqueue(&entry, pause, &bounds, from_unix_seconds(START_TIME)).await;
    queued.unwrap().unwrap();
    drop(store);

    let app =
        start_with_admin(Setup::new().flag("store", &format!("file:{}", path.display()))).await;
    let page = page(&app).await.text();
    assert!(!page.contains("<script") && !page.contains("<img"), "{page}");
    let escaped = "&lt;/td&gt;&lt;/style&gt;&quot;'&gt;&lt;script&gt;alert(1)&lt;/script&gt;\
                   &lt;img src=x onerror=y&gt;&amp;lt;";
    assert_eq!(page.matches(escaped).count(), 6, "five of the failure, one of the queue: {page}");
}
