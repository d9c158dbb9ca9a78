//! When GoTrue is asked again, and how often.

use std::time::{Duration, UNIX_EPOCH};

use gotrue_mock::Tokens;
use logout_gateway::Clock;
use rstest::rstest;
use serde_json::{Value, json};

use super::{durable, fails, log_out, waiting, worked_off};
use crate::harness::{GatewayProcess, Setup, TestApp, eventually, eventually_within};

/// A time in a report, in seconds.
fn seconds(entry: &Value, name: &str) -> u64 {
    let time = humantime::parse_rfc3339(entry[name].as_str().unwrap()).unwrap();
    time.duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// How often GoTrue was asked for the entry of this session.
async fn attempts(app: &TestApp, tokens: &Tokens) -> u64 {
    let report = app.admin_json("/queue").await;
    let mut entries = report["entries"].as_array().unwrap().iter();
    let entry = entries.find(|entry| entry["session_id"] == json!(tokens.session_id));
    entry.map_or(0, |entry| entry["attempts"].as_u64().unwrap())
}

#[tokio::test]
async fn while_gotrue_is_down_one_probes_and_all_others_wait() {
    let (app, _directory) = durable(Setup::new()).await;
    app.inject_fault(fails(503));
    let all: Vec<Tokens> = (0..12).map(|_| app.sign_up()).collect();
    for tokens in &all {
        log_out(&app, tokens, "/logout").await;
    }
    let asked = app.gotrue_calls("logout").len();
    assert_eq!(asked, 24, "each with its one retry");
    let tried = async || {
        let report = app.admin_json("/queue").await;
        let entries = report["entries"].as_array().unwrap().iter();
        entries.filter(|entry| entry["attempts"] != json!(0)).count()
    };
    app.advance_time(2);
    eventually("the first few find out", async || tried().await == 4).await;
    let mut passed = 0;
    for probes in 1..=4 {
        let within = Duration::from_secs(3);
        loop {
            app.advance_time(301);
            passed += 1;
            if eventually_within(within, async || tried().await >= 4 + probes).await {
                break;
            }
            assert!(passed < 10, "nobody probes");
        }
    }
    let calls = app.gotrue_calls("logout").len() - asked;
    assert!(
        calls <= 2 * (4 + passed),
        "no more than one, with its retry, for each {calls} {passed}"
    );
    assert_eq!(waiting(&app).await, 12);
    app.mock.clear_faults();
    worked_off(&app).await;
    assert!(all.iter().all(|tokens| !app.is_alive(tokens)));
}

#[tokio::test]
async fn an_answer_of_gotrue_wakes_the_worker_at_once() {
    let (app, _directory) = durable(Setup::new()).await;
    app.inject_fault(fails(503));
    let (tokens, other) = (app.sign_up(), app.sign_up());
    log_out(&app, &tokens, "/logout").await;
    app.advance_time(2);
    let probed = async || app.admin_json("/queue").await["entries"][0]["attempts"] == json!(1);
    eventually("it is tried", probed).await;
    app.mock.clear_faults();
    // The entry is due, but for GoTrue's health: nobody asks before its time.
    app.advance_time(4);
    assert_eq!(app.post("/logout").bearer(&other.access_token).send().await.status, 200);
    eventually("the session is dead", async || !app.is_alive(&tokens)).await;
}

#[rstest]
#[case::rate_limited(429, 1)]
#[case::unavailable(503, 2)]
#[tokio::test]
async fn a_retry_after_is_waited_for(#[case] status: u16, #[case] times: u32) {
    let (app, _directory) = durable(Setup::new()).await;
    let mut fault = fails(status);
    fault["headers"] = json!({"Retry-After": "600"});
    fault["times"] = json!(times);
    app.inject_fault(fault);
    let tokens = app.sign_up();
    log_out(&app, &tokens, "/logout").await;
    let entry = app.admin_json("/queue").await["entries"][0].clone();
    assert_eq!(seconds(&entry, "due_at") - seconds(&entry, "queued_at"), 600);
    app.advance_time(600);
    worked_off(&app).await;
    assert!(!app.is_alive(&tokens));
}

#[tokio::test]
async fn a_retry_after_for_one_holds_up_the_others_for_five_minutes_at_most() {
    let (app, _directory) = durable(Setup::new()).await;
    let once = |status: u16| {
        let mut fault = fails(status);
        fault["headers"] = json!({"Retry-After": "1800"});
        fault["times"] = json!(1);
        app.inject_fault(fault);
    };
    let (limited, other) = (app.sign_up(), app.sign_up());
    once(500);
    log_out(&app, &limited, "/logout").await;
    once(429);
    app.advance_time(2);
    eventually("it is tried", async || attempts(&app, &limited).await == 1).await;
    once(500);
    log_out(&app, &other, "/logout").await;
    app.advance_time(200);
    let within = Duration::from_secs(2);
    assert!(!eventually_within(within, async || !app.is_alive(&other)).await, "it is heeded");
    app.advance_time(101);
    eventually("the other is done", async || !app.is_alive(&other)).await;
    assert!(app.is_alive(&limited), "its own time has not come");
    app.advance_time(1600);
    eventually("it is done", async || !app.is_alive(&limited)).await;
}

#[tokio::test]
async fn a_clock_that_is_set_back_delays_no_later_entry() {
    let (app, _directory) = durable(Setup::new()).await;
    app.inject_fault(fails(500));
    let before = app.sign_up();
    log_out(&app, &before, "/logout").await;
    app.advance_time(2);
    eventually("it is tried", async || attempts(&app, &before).await == 1).await;
    app.advance_time(-3000);
    let after = app.sign_up();
    log_out(&app, &after, "/logout").await;
    app.mock.clear_faults();
    app.advance_time(2);
    eventually("it is done", async || !app.is_alive(&after)).await;
    app.advance_time(3000);
    worked_off(&app).await;
    assert!(!app.is_alive(&before), "once the clock is there again");
}

#[tokio::test]
async fn one_entrys_failure_puts_off_no_other() {
    let (app, _directory) = durable(Setup::new()).await;
    app.inject_fault(fails(503));
    let all: Vec<Tokens> = (0..12).map(|_| app.sign_up()).collect();
    for tokens in &all {
        log_out(&app, tokens, "/logout").await;
    }
    app.mock.clear_faults();
    // As a proxy in front of GoTrue refuses a head that is too long: it is about the entry.
    let mut refused = fails(400);
    refused["times"] = json!(11);
    app.inject_fault(refused);
    app.advance_time(2);
    let ended = async || all.iter().filter(|tokens| !app.is_alive(tokens)).count() == 1;
    eventually("the twelfth is done while eleven fail, and no time has passed", ended).await;
    eventually("what failed stays", async || waiting(&app).await == 11).await;
    app.mock.clear_faults();
    worked_off(&app).await;
    assert!(all.iter().all(|tokens| !app.is_alive(tokens)));
}

#[tokio::test]
async fn a_repeated_logout_is_queued_once_for_each_scope() {
    let (app, _directory) = durable(Setup::new()).await;
    app.inject_fault(fails(503));
    let tokens = app.sign_up();
    let other = app.sign_in_again(&tokens);
    for target in ["/logout", "/api/auth/logout"] {
        log_out(&app, &tokens, target).await;
    }
    for target in ["/logout?scope=others", "/logout?scope=others", "/logout?scope=global"] {
        log_out(&app, &other, target).await;
    }
    assert_eq!(waiting(&app).await, 3);
    app.mock.clear_faults();
    worked_off(&app).await;
    assert!(!app.is_alive(&tokens) && !app.is_alive(&other));
}

#[tokio::test]
async fn a_stop_lets_the_worker_finish_its_tries() {
    let app = Setup::new().start_time(Clock::system().unix_seconds()).start().await;
    let directory = tempfile::tempdir().unwrap();
    let store = format!("file:{}", directory.path().join("store").display());
    let gateway = GatewayProcess::start(&app, &[("GATEWAY_STORE", &store)]).await;
    let tokens = app.sign_up();
    let mut fault = fails(500);
    fault["times"] = json!(1);
    app.inject_fault(fault);
    app.inject_fault(json!({"operation": "logout", "kind": "delay", "seconds": 1.5, "times": 1}));
    let request = gateway.request("POST", "/logout").bearer(&tokens.access_token);
    assert_eq!(request.send().await.status, 202);
    eventually("the worker asks", async || app.gotrue_calls("logout").len() == 2).await;
    assert!(app.is_alive(&tokens));
    let log = gateway.stop();
    assert!(!app.is_alive(&tokens), "it was waited for");
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
    let mut fault = fails(500);
    fault["times"] = json!(1);
    app.inject_fault(fault);
    app.inject_fault(json!({"operation": "logout", "kind": "hang"}));
    let reply = gateway.request("POST", "/logout").bearer(&token).send().await;
    assert_eq!(reply.status, 202);
    eventually("the worker asks", async || app.gotrue_calls("logout").len() == 2).await;
    gateway.signal("TERM");
    let ended = tokio::task::spawn_blocking(|| gateway.wait_for_exit().0.code());
    let code = tokio::time::timeout(Duration::from_secs(20), ended).await.expect("it ends");
    assert_eq!(code.unwrap(), Some(0));
}
