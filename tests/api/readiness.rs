//! Section 10 of the contract: `/readyz` must say which part of the gateway is not ready, and since when.

mod key_sets;

use std::{process::Command, sync::Arc};

use logout_gateway::Clock;
use serde_json::json;

use crate::harness::{
    Connection, GatewayProcess, RedisServer, Reply, Request, START_TIME, Setup, TestApp,
    assert_not_ready, eventually,
};

async fn readyz(app: &TestApp) -> Reply {
    app.get("/readyz").send().await
}

async fn wait_until_ready_again(app: &TestApp) {
    eventually("ready again", async || readyz(app).await.status == 200).await;
    assert_eq!(readyz(app).await.text(), r#"{"status":"ok"}"#);
}

#[tokio::test]
async fn readyz_says_since_when_the_store_does_not_answer() {
    let redis = RedisServer::start().await;
    let app = Setup::new().flag("store", &redis.url()).start().await;
    for outage in [START_TIME + 100, START_TIME + 300] {
        app.advance_time(outage - app.clock.now());
        redis.kill();
        eventually("readyz is 503", async || readyz(&app).await.status == 503).await;
        for _ in 0..2 {
            assert_eq!(assert_not_ready(&readyz(&app).await, "store"), outage);
            app.advance_time(50);
        }
        redis.restart().await;
        wait_until_ready_again(&app).await;
    }
}

#[tokio::test]
async fn a_key_set_that_was_never_fetched_is_missing_since_the_start() {
    let no_keys = json!({"operation": "jwks", "kind": "status", "status": 500});
    let app = Setup::new().without_readiness_check().start_with_faults(&[no_keys]).await;
    for _ in 0..2 {
        app.advance_time(50);
        assert_eq!(assert_not_ready(&readyz(&app).await, "key_set"), START_TIME);
    }
    app.mock.clear_faults();
    wait_until_ready_again(&app).await;
}

#[tokio::test]
async fn readyz_says_since_when_the_gateway_is_shutting_down() {
    let app = Arc::new(Setup::new().flag("admin-bind", "127.0.0.1:0").start().await);
    let admin = Request::new(app.admin_address.unwrap(), "GET", "/readyz");
    let logout = app.post("/logout").bearer(&app.sign_up().access_token);
    app.inject_fault(json!({"operation": "logout", "kind": "hang", "times": 1}));
    let mut pending = Connection::open(app.address).await;
    pending.write(&logout.bytes(true)).await;
    eventually("GoTrue gets the logout", async || app.gotrue_calls("logout").len() == 1).await;

    app.advance_time(100);
    let stopped = app.clone();
    let stopped = tokio::task::spawn_blocking(move || stopped.stop_gateway());
    eventually("the gateway is shutting down", async || admin.clone().send().await.status == 503)
        .await;
    for _ in 0..2 {
        let since = assert_not_ready(&admin.clone().send().await, "shutting_down");
        assert_eq!(since, START_TIME + 100);
        app.advance_time(50);
    }
    drop(pending.reply(false).await);
    stopped.await.unwrap();
}

#[tokio::test]
async fn the_most_important_missing_part_is_named() {
    let redis = RedisServer::start().await;
    let no_keys = json!({"operation": "jwks", "kind": "status", "status": 500});
    let setup = Setup::new().flag("store", &redis.url()).without_readiness_check();
    let app = setup.start_with_faults(&[no_keys]).await;
    let key_set = async || readyz(&app).await.json()["error"]["reason"] == "key_set";
    eventually("the list is read", key_set).await;
    app.advance_time(100);
    assert_eq!(assert_not_ready(&readyz(&app).await, "key_set"), START_TIME);
    redis.kill();
    let store = async || readyz(&app).await.json()["error"]["reason"] == "store";
    eventually("the store is missing too", store).await;
    assert_eq!(assert_not_ready(&readyz(&app).await, "store"), START_TIME + 100);
}

#[tokio::test]
async fn the_log_has_one_line_for_a_missing_part_and_one_for_its_return() {
    let redis = RedisServer::start().await;
    let app = Setup::new().start_time(Clock::system().unix_seconds()).start().await;
    let gateway = GatewayProcess::start(&app, &[("GATEWAY_STORE", &redis.url())]).await;
    let status = async || gateway.request("GET", "/readyz").send().await.status;
    redis.kill();
    eventually("readyz is 503", async || status().await == 503).await;
    assert_eq!(status().await, 503);
    redis.restart().await;
    eventually("ready again", async || status().await == 200).await;
    assert_eq!(status().await, 200);

    let log = gateway.stop();
    let part_lines: Vec<_> = log.lines.iter().filter(|line| line["part"].is_string()).collect();
    let [missing, back] = part_lines[..] else { panic!("{}", log.text) };
    for (line, level, message) in [
        (missing, "WARN", "the gateway is not ready"),
        (back, "INFO", "the gateway is ready again"),
    ] {
        assert_eq!((&line["level"], &line["message"]), (&json!(level), &json!(message)));
        assert_eq!(line["part"], "store");
    }
    assert!(humantime::parse_rfc3339(missing["since"].as_str().unwrap()).is_ok(), "{missing}");
    assert!(humantime::parse_duration(back["missing_for"].as_str().unwrap()).is_ok(), "{back}");
}

/// Starts the real binary without the JWT secret, so that it needs the key set to verify tokens.
async fn start_without_jwt_secret(app: &TestApp) -> GatewayProcess {
    let mut command = Command::new("/usr/bin/env");
    command.args(["-u", "SUPABASE_JWT_SECRET", env!("CARGO_BIN_EXE_logout-gateway")]);
    GatewayProcess::start_with_command(command, app, &[]).await
}

#[tokio::test]
async fn a_failed_first_fetch_of_the_key_set_is_logged() {
    let app = Setup::new().start_time(Clock::system().unix_seconds()).start().await;
    app.inject_fault(json!({"operation": "jwks", "kind": "status", "status": 500, "times": 1}));
    let gateway = start_without_jwt_secret(&app).await;
    let log = gateway.stop();
    let of_part = log.lines.iter().filter(|line| line["part"] == "key_set");
    let messages: Vec<_> = of_part.map(|line| line["message"].as_str().unwrap()).collect();
    assert_eq!(
        messages,
        ["the gateway is not ready", "the gateway is ready again"],
        "{}",
        log.text
    );
}

#[tokio::test]
async fn a_slow_first_fetch_of_the_key_set_is_not_logged() {
    let app = Setup::new().start_time(Clock::system().unix_seconds()).start().await;
    app.inject_fault(json!({"operation": "jwks", "kind": "delay", "seconds": 1.2, "times": 1}));
    let gateway = start_without_jwt_secret(&app).await;
    let log = gateway.stop();
    assert!(log.lines.iter().all(|line| line["part"].is_null()), "{}", log.text);
}
