//! A disk that fails, as the clients of a gateway see it: what is answered 202 is on it.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use gotrue_mock::Tokens;
use logout_gateway::{
    Clock,
    internals::{clock::from_unix_seconds, session::token::Claims},
};
use rlimit::{Resource, prlimit};
use serde_json::json;
use tempfile::TempDir;

use super::{
    list::session,
    opening::{open, was_closed},
};
use crate::harness::{
    GatewayProcess, Reply, Request, SECRET, Setup, TestApp, assert_error, eventually,
    unprivileged_gateway,
};

const BINARY: &str = env!("CARGO_BIN_EXE_logout-gateway");

fn address(directory: &TempDir) -> String {
    format!("file:{}", directory.path().join("store").display())
}

/// A test app for the real binary, whose GoTrue fails.
async fn failing() -> TestApp {
    let app = Setup::new().start_time(Clock::system().unix_seconds()).start().await;
    app.inject_fault(json!({"operation": "logout", "kind": "status", "status": 500}));
    app
}

/// A shell that runs `set_limits` and becomes the command.
fn after(set_limits: &str, command: &Command) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &format!(r#"{set_limits}; exec "$0" "$@""#)]);
    shell.arg(command.get_program()).args(command.get_args());
    shell
}

fn environment(store: &str) -> [(&str, &str); 2] {
    [("GATEWAY_STORE", store), ("GATEWAY_ADMIN_BIND", "127.0.0.1:0")]
}

async fn log_out(gateway: &GatewayProcess, tokens: &Tokens) -> Reply {
    gateway.request("POST", "/api/auth/logout").bearer(&tokens.access_token).send().await
}

/// What the store is asked about the session of these tokens.
fn claims(tokens: &Tokens) -> Claims {
    let now = Clock::system().unix_seconds();
    Claims { sub: tokens.user_id, session_id: tokens.session_id, ..session(now) }
}

async fn verify(gateway: &GatewayProcess, tokens: &Tokens) -> u16 {
    gateway.request("GET", "/api/auth/verify").bearer(&tokens.access_token).send().await.status
}

/// The sessions whose logouts wait.
async fn waiting(gateway: &GatewayProcess) -> Vec<String> {
    let report = Request::new(gateway.admin_address.unwrap(), "GET", "/queue").send().await.json();
    let entries = report["entries"].as_array().unwrap().iter();
    entries.map(|entry| entry["session_id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_full_disk_is_a_failed_logout_and_never_a_promise() {
    let (app, directory) = (failing().await, tempfile::tempdir().unwrap());
    let store = address(&directory);
    // Files may grow to 512 KiB; whoever writes beyond is told, and not killed.
    let shell = after("trap '' XFSZ; ulimit -S -f 1024", &Command::new(BINARY));
    let gateway = GatewayProcess::start_with_command(shell, &app, &environment(&store)).await;
    let (mut promised, mut failed) = (Vec::new(), Vec::new());
    // Not the first failures alone: a disk that is busy fails before it is full.
    while failed.len() < 5 || promised.len() <= 10 {
        assert!(promised.len() < 1000, "the disk does not fill");
        assert!(failed.len() < 100, "there was no room at first");
        let tokens = app.sign_up();
        let reply = log_out(&gateway, &tokens).await;
        if reply.status == 202 {
            promised.push(tokens);
            continue;
        }
        assert_error(&reply, 500, "LOGOUT_FAILED", Some("auth_service_error"));
        assert_eq!(reply.header("x-logout-outcome"), Some("failed"));
        assert_eq!(verify(&gateway, &tokens).await, 401, "this process knows it all the same");
        failed.push(tokens);
    }

    // Room again: everything goes on, and what was in memory alone is written.
    let process = gateway.pid().try_into().unwrap();
    prlimit(process, Resource::FSIZE, Some((u64::MAX, u64::MAX)), None).unwrap();
    let next = app.sign_up();
    assert_eq!(log_out(&gateway, &next).await.status, 202);
    promised.push(next);
    let (path, copy) = (directory.path().join("store"), directory.path().join("copy"));
    let written = async || {
        fs::copy(&path, &copy).unwrap();
        let Ok(copy) = open(&copy).await else { return false };
        for claims in failed.iter().map(claims) {
            if !copy.is_revoked(&claims, from_unix_seconds(claims.exp - 1)).await.unwrap() {
                return false;
            }
        }
        true
    };
    eventually("the list is on the disk", written).await;
    gateway.signal("KILL");
    gateway.wait_for_exit();

    let gateway = GatewayProcess::start(&app, &environment(&store)).await;
    let waiting = waiting(&gateway).await;
    for tokens in &promised {
        assert!(waiting.contains(&tokens.session_id.to_string()), "a promise was not kept");
        assert_eq!(verify(&gateway, tokens).await, 401);
    }
    for tokens in &failed {
        assert_eq!(verify(&gateway, tokens).await, 401, "written once there was room");
    }
    gateway.stop();
}

/// A start that comes to nothing: what is told of it.
fn error_at_start(mut command: Command, store: &str) -> String {
    command.arg("serve").env_clear().envs([
        ("SUPABASE_URL", "http://127.0.0.1:1"),
        ("GATEWAY_BIND", "127.0.0.1:0"),
        ("GATEWAY_ADMIN_BIND", "off"),
        ("GATEWAY_SECRET", SECRET),
        ("GATEWAY_STORE", store),
    ]);
    let run = command.output().unwrap();
    let log = String::from_utf8(run.stderr).unwrap();
    assert_eq!(run.status.code(), Some(1), "{log}");
    assert!(!log.contains("listening") && !log.contains("panicked"), "{log}");
    let path = store.strip_prefix("file:").unwrap();
    let told = |line: &&str| {
        [r#""level":"ERROR""#, "GATEWAY_STORE", path].iter().all(|text| line.contains(text))
    };
    log.lines().find(told).unwrap_or_else(|| panic!("{log}")).to_owned()
}

#[tokio::test]
async fn a_file_of_another_gateway_ends_the_second_and_not_the_first() {
    let (app, directory) = (failing().await, tempfile::tempdir().unwrap());
    let store = address(&directory);
    let gateway = GatewayProcess::start(&app, &environment(&store)).await;
    let told = error_at_start(Command::new(BINARY), &store);
    assert!(told.contains("held by another process"), "{told}");
    assert_eq!(log_out(&gateway, &app.sign_up()).await.status, 202);
    gateway.stop();
    assert!(was_closed(&directory.path().join("store")), "a signal lets it close the file");
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_file_that_cannot_be_written_is_an_error_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    set_mode(directory.path(), 0o555);
    let told = error_at_start(unprivileged_gateway(), &address(&directory));
    assert!(told.contains("let this user read and write it and its directory"), "{told}");
    assert!(!directory.path().join("store").exists());

    set_mode(directory.path(), 0o755);
    fs::write(directory.path().join("store"), "").unwrap();
    set_mode(&directory.path().join("store"), 0o444);
    let told = error_at_start(unprivileged_gateway(), &address(&directory));
    assert!(told.contains("let this user read and write it and its directory"), "{told}");
}

#[tokio::test]
async fn a_file_that_must_not_be_written_any_more_is_a_failed_logout_and_never_a_promise() {
    let (app, directory) = (failing().await, tempfile::tempdir().unwrap());
    let (store, path) = (address(&directory), directory.path().join("store"));
    let command = after("trap '' XFSZ", &unprivileged_gateway());
    let gateway = GatewayProcess::start_with_command(command, &app, &environment(&store)).await;
    set_mode(&path, 0o444);
    set_mode(directory.path(), 0o555);
    // Permissions bind whoever opens a file. This process has it open, and keeps what it promises.
    let promised = app.sign_up();
    assert_eq!(log_out(&gateway, &promised).await.status, 202);
    // After a write that failed it is opened anew.
    let process = gateway.pid().try_into().unwrap();
    let limit = |most| prlimit(process, Resource::FSIZE, Some((most, u64::MAX)), None).unwrap();
    limit(0);
    let mut failed = Vec::new();
    for _ in 0..3 {
        let tokens = app.sign_up();
        let reply = log_out(&gateway, &tokens).await;
        assert_error(&reply, 500, "LOGOUT_FAILED", Some("auth_service_error"));
        assert_eq!(reply.header("x-logout-outcome"), Some("failed"));
        assert_eq!(verify(&gateway, &tokens).await, 401, "this process knows it all the same");
        failed.push(tokens);
        limit(u64::MAX);
    }
    set_mode(directory.path(), 0o755);
    set_mode(&path, 0o600);
    let next = app.sign_up();
    assert_eq!(log_out(&gateway, &next).await.status, 202);
    gateway.signal("KILL");
    gateway.wait_for_exit();

    let gateway = GatewayProcess::start(&app, &environment(&store)).await;
    let waiting = waiting(&gateway).await;
    let waits = |tokens: &Tokens| waiting.contains(&tokens.session_id.to_string());
    assert!(waits(&promised) && waits(&next), "a promise was not kept");
    assert!(!failed.iter().any(waits), "none was given");
    gateway.stop();
}
