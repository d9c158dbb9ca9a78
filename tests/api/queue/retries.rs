//! When the worker retries queued logouts, and how often.

use std::time::{Duration, UNIX_EPOCH};

use gotrue_mock::Tokens;
use logout_gateway::Clock;
use rstest::rstest;
use serde_json::{Value, json};

use super::{drain_queue, logout_fault, queue_length, queue_logout, start_with_file_store};
use crate::harness::{GatewayProcess, Setup, TestApp, eventually, eventually_within};

/// The time in the member `name` of an entry in a report, in seconds since the Unix epoch.
fn seconds(entry: &Value, name: &str) -> u64 {
    let time = humantime::parse_rfc3339(entry[name].as_str().unwrap()).unwrap();
    time.duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// How many times the worker has tried the queue entry of this session.
async fn attempts(app: &TestApp, tokens: &Tokens) -> u64 {
    let report = app.admin_json("/queue").await;
    let mut entries = report["entries"].as_array().unwrap().iter();
    let entry = entries.find(|entry| entry["session_id"] == json!(tokens.session_id));
    entry.map_or(0, |entry| entry["attempts"].as_u64().unwrap())
}

#[tokio::test]
async fn while_gotrue_is_down_only_one_entry_at_a_time_is_tried() {
    let (app, _directory) = start_with_file_store(Setup::new()).await;
    app.inject_fault(logout_fault(503));
    let all: Vec<Tokens> = (0..12).map(|_| app.sign_up()).collect();
    for tokens in &all {
        queue_logout(&app, tokens, "/logout").await;
    }
    let calls_before = app.gotrue_calls("logout").len();
    assert_eq!(calls_before, 24, "each logout with one retry");
    let tried_count = async || {
        let report = app.admin_json("/queue").await;
        let entries = report["entries"].as_array().unwrap().iter();
        entries.filter(|entry| entry["attempts"] != json!(0)).count()
    };
    app.advance_time(2);
    eventually("the first four entries are tried", async || tried_count().await == 4).await;
    let mut advances = 0;
    for probes in 1..=4 {
        let within = Duration::from_secs(3);
        loop {
            app.advance_time(301);
            advances += 1;
            if eventually_within(within, async || tried_count().await >= 4 + probes).await {
                break;
            }
            assert!(advances < 10, "no entry is tried");
        }
    }
    let calls = app.gotrue_calls("logout").len() - calls_before;
    assert!(
        calls <= 2 * (4 + advances),
        "at most one entry, with one retry, for each advance of the time: {calls} {advances}"
    );
    assert_eq!(queue_length(&app).await, 12);
    app.mock.clear_faults();
    drain_queue(&app).await;
    assert!(all.iter().all(|tokens| !app.is_alive(tokens)));
}

#[tokio::test]
async fn an_answer_of_gotrue_wakes_the_worker_at_once() {
    let (app, _directory) = start_with_file_store(Setup::new()).await;
    app.inject_fault(logout_fault(503));
    let (tokens, other) = (app.sign_up(), app.sign_up());
    queue_logout(&app, &tokens, "/logout").await;
    app.advance_time(2);
    let is_tried = async || app.admin_json("/queue").await["entries"][0]["attempts"] == json!(1);
    eventually("the entry is tried", is_tried).await;
    app.mock.clear_faults();
    // The entry is due now, but the worker pauses all tries because GoTrue failed. The successful logout that
    // follows must end the pause.
    app.advance_time(4);
    assert_eq!(app.post("/logout").bearer(&other.access_token).send().await.status, 200);
    eventually("the session is dead", async || !app.is_alive(&tokens)).await;
}

#[rstest]
#[case::rate_limited(429, 1)]
#[case::unavailable(503, 2)]
#[tokio::test]
async fn a_retry_after_delays_the_next_try(#[case] status: u16, #[case] times: u32) {
    let (app, _directory) = start_with_file_store(Setup::new()).await;
    let mut fault = logout_fault(status);
    fault["headers"] = json!({"Retry-After": "600"});
    fault["times"] = json!(times);
    app.inject_fault(fault);
    let tokens = app.sign_up();
    queue_logout(&app, &tokens, "/logout").await;
    let entry = app.admin_json("/queue").await["entries"][0].clone();
    assert_eq!(seconds(&entry, "due_at") - seconds(&entry, "queued_at"), 600);
    app.advance_time(600);
    drain_queue(&app).await;
    assert!(!app.is_alive(&tokens));
}

#[tokio::test]
async fn a_retry_after_of_one_entry_delays_the_others_for_five_minutes_at_most() {
    let (app, _directory) = start_with_file_store(Setup::new()).await;
    let once = |status: u16| {
        let mut fault = logout_fault(status);
        fault["headers"] = json!({"Retry-After": "1800"});
        fault["times"] = json!(1);
        app.inject_fault(fault);
    };
    let (limited, other) = (app.sign_up(), app.sign_up());
    once(500);
    queue_logout(&app, &limited, "/logout").await;
    once(429);
    app.advance_time(2);
    eventually("the entry is tried", async || attempts(&app, &limited).await == 1).await;
    once(500);
    queue_logout(&app, &other, "/logout").await;
    app.advance_time(200);
    let within = Duration::from_secs(2);
    assert!(
        !eventually_within(within, async || !app.is_alive(&other)).await,
        "the Retry-After delays the other entry"
    );
    app.advance_time(101);
    eventually("the other entry is done", async || !app.is_alive(&other)).await;
    assert!(app.is_alive(&limited), "the limited entry is not due yet");
    app.advance_time(1600);
    eventually("the limited entry is done", async || !app.is_alive(&limited)).await;
}

#[tokio::test]
async fn a_clock_that_is_set_back_delays_no_later_entry() {
    let (app, _directory) = start_with_file_store(Setup::new()).await;
    app.inject_fault(logout_fault(500));
    let before = app.sign_up();
    queue_logout(&app, &before, "/logout").await;
    app.advance_time(2);
    eventually("the entry is tried", async || attempts(&app, &before).await == 1).await;
    app.advance_time(-3000);
    let after = app.sign_up();
    queue_logout(&app, &after, "/logout").await;
    app.mock.clear_faults();
    app.advance_time(2);
    eventually("the later entry is done", async || !app.is_alive(&after)).await;
    app.advance_time(3000);
    drain_queue(&app).await;
    assert!(
        !app.is_alive(&before),
        "the first entry is done once the clock has reached its due time again"
    );
}

#[tokio::test]
async fn a_failure_of_one_entry_delays_no_other() {
    let (app, _directory) = start_with_file_store(Setup::new()).await;
    app.inject_fault(logout_fault(503));
    let all: Vec<Tokens> = (0..12).map(|_| app.sign_up()).collect();
    for tokens in &all {
        queue_logout(&app, tokens, "/logout").await;
    }
    app.mock.clear_faults();
    // A 400 may concern only this entry, because a proxy in front of GoTrue may refuse a request head that is
    // too long.
    let mut refused = logout_fault(400);
    refused["times"] = json!(11);
    app.inject_fault(refused);
    app.advance_time(2);
    let one_is_done = async || all.iter().filter(|tokens| !app.is_alive(tokens)).count() == 1;
    eventually(
        "the twelfth entry is done while eleven fail, without an advance of the time",
        one_is_done,
    )
    .await;
    eventually("the failed entries stay queued", async || queue_length(&app).await == 11).await;
    app.mock.clear_faults();
    drain_queue(&app).await;
    assert!(all.iter().all(|tokens| !app.is_alive(tokens)));
}

#[tokio::test]
async fn a_repeated_logout_is_queued_once_for_each_scope() {
    let (app, _directory) = start_with_file_store(Setup::new()).await;
    app.inject_fault(logout_fault(503));
    let tokens = app.sign_up();
    let other = app.sign_in_again(&tokens);
    for target in ["/logout", "/api/auth/logout"] {
        queue_logout(&app, &tokens, target).await;
    }
    for target in ["/logout?scope=others", "/logout?scope=others", "/logout?scope=global"] {
        queue_logout(&app, &other, target).await;
    }
    assert_eq!(queue_length(&app).await, 3);
    app.mock.clear_faults();
    drain_queue(&app).await;
    assert!(!app.is_alive(&tokens) && !app.is_alive(&other));
}

#[tokio::test]
async fn a_stop_lets_the_worker_finish_its_tries() {
    let app = Setup::new().start_time(Clock::system().unix_seconds()).start().await;
    let directory = tempfile::tempdir().unwrap();
    let store = format!("file:{}", directory.path().join("store").display());
    let gateway = GatewayProcess::start(&app, &[("GATEWAY_STORE", &store)]).await;
    let tokens = app.sign_up();
    let mut fault = logout_fault(500);
    fault["times"] = json!(1);
    app.inject_fault(fault);
    app.inject_fault(json!({"operation": "logout", "kind": "delay", "seconds": 1.5, "times": 1}));
    let request = gateway.request("POST", "/logout").bearer(&tokens.access_token);
    assert_eq!(request.send().await.status, 202);
    eventually("the worker sends the logout", async || app.gotrue_calls("logout").len() == 2).await;
    assert!(app.is_alive(&tokens));
    let log = gateway.stop();
    assert!(!app.is_alive(&tokens), "the stop waited for the worker");
    let done = |line: &&Value| line["message"] == "the worker completed a queued logout";
    assert_eq!(log.lines.iter().filter(done).count(), 1, "{}", log.text);
}

#[tokio::test]
async fn a_stop_waits_for_the_worker_no_longer_than_the_drain_timeout() {
    let app = Setup::new().start_time(Clock::system().unix_seconds()).start().await;
    let directory = tempfile::tempdir().unwrap();
    let store = format!("file:{}", directory.path().join("store").display());
    let environment = [
        ("GATEWAY_STORE", &*store),
        ("GATEWAY_UPSTREAM_TIMEOUT", "1h"),
        ("GATEWAY_DRAIN_TIMEOUT", "100ms"),
    ];
    let gateway = GatewayProcess::start(&app, &environment).await;
    let token = app.sign_up().access_token;
    let mut fault = logout_fault(500);
    fault["times"] = json!(1);
    app.inject_fault(fault);
    app.inject_fault(json!({"operation": "logout", "kind": "hang"}));
    let reply = gateway.request("POST", "/logout").bearer(&token).send().await;
    assert_eq!(reply.status, 202);
    eventually("the worker sends the logout", async || app.gotrue_calls("logout").len() == 2).await;
    gateway.signal("TERM");
    let ended = tokio::task::spawn_blocking(|| gateway.wait_for_exit().0.code());
    let code =
        tokio::time::timeout(Duration::from_secs(20), ended).await.expect("the process ends");
    assert_eq!(code.unwrap(), Some(0));
}
