//! Failing disks as the gateway's clients see them: a logout that was answered with 202 must be on the disk.

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
    opening::{is_closed_cleanly, open},
};
use crate::harness::{
    GatewayProcess, Reply, Request, SECRET, Setup, TestApp, assert_error, eventually,
    unprivileged_gateway,
};

const BINARY: &str = env!("CARGO_BIN_EXE_logout-gateway");

fn address(directory: &TempDir) -> String {
    format!("file:{}", directory.path().join("store").display())
}

/// Starts a test app for the real binary. Its GoTrue fails at every logout.
async fn start_failing_app() -> TestApp {
    let app = Setup::new().start_time(Clock::system().unix_seconds()).start().await;
    app.inject_fault(json!({"operation": "logout", "kind": "status", "status": 500}));
    app
}

/// A shell that runs the commands `set_limits` and then executes `command`.
fn with_limits(set_limits: &str, command: &Command) -> Command {
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

/// The claims of a token of the session to which `tokens` belong.
fn claims(tokens: &Tokens) -> Claims {
    let now = Clock::system().unix_seconds();
    Claims { sub: tokens.user_id, session_id: tokens.session_id, ..session(now) }
}

async fn verify(gateway: &GatewayProcess, tokens: &Tokens) -> u16 {
    gateway.request("GET", "/api/auth/verify").bearer(&tokens.access_token).send().await.status
}

/// The ids of the sessions that have a logout in the queue.
async fn queued_sessions(gateway: &GatewayProcess) -> Vec<String> {
    let report = Request::new(gateway.admin_address.unwrap(), "GET", "/queue").send().await.json();
    let entries = report["entries"].as_array().unwrap().iter();
    entries.map(|entry| entry["session_id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_logout_on_a_full_disk_is_reported_as_failed_and_never_as_queued() {
    let (app, directory) = (start_failing_app().await, tempfile::tempdir().unwrap());
    let store = address(&directory);
    // Files may grow to 512 KiB. A larger write must fail, but must not kill the process.
    let shell = with_limits("trap '' XFSZ; ulimit -S -f 1024", &Command::new(BINARY));
    let gateway = GatewayProcess::start_with_command(shell, &app, &environment(&store)).await;
    let (mut queued, mut failed) = (Vec::new(), Vec::new());
    // Wait for several failures, because a single write can fail before the disk is full.
    while failed.len() < 5 || queued.len() <= 10 {
        assert!(queued.len() < 1000, "the disk does not fill");
        assert!(failed.len() < 100, "no logout was queued at first");
        let tokens = app.sign_up();
        let reply = log_out(&gateway, &tokens).await;
        if reply.status == 202 {
            queued.push(tokens);
            continue;
        }
        assert_error(&reply, 500, "LOGOUT_FAILED", Some("auth_service_error"));
        assert_eq!(reply.header("x-logout-outcome"), Some("failed"));
        assert_eq!(
            verify(&gateway, &tokens).await,
            401,
            "the gateway refuses the session from memory"
        );
        failed.push(tokens);
    }

    // The disk has room again: the gateway must queue logouts, and write the revocations that were only in
    // memory.
    let process = gateway.pid().try_into().unwrap();
    prlimit(process, Resource::FSIZE, Some((u64::MAX, u64::MAX)), None).unwrap();
    let next = app.sign_up();
    assert_eq!(log_out(&gateway, &next).await.status, 202);
    queued.push(next);
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
    let queued_sessions = queued_sessions(&gateway).await;
    for tokens in &queued {
        assert!(
            queued_sessions.contains(&tokens.session_id.to_string()),
            "a queued logout is lost"
        );
        assert_eq!(verify(&gateway, tokens).await, 401);
    }
    for tokens in &failed {
        assert_eq!(
            verify(&gateway, tokens).await,
            401,
            "the revocation was written when there was room"
        );
    }
    gateway.stop();
}

/// Starts a gateway that must exit at once; returns the log line with the error.
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
    let is_error = |line: &&str| {
        [r#""level":"ERROR""#, "GATEWAY_STORE", path].iter().all(|text| line.contains(text))
    };
    log.lines().find(is_error).unwrap_or_else(|| panic!("{log}")).to_owned()
}

#[tokio::test]
async fn a_second_gateway_on_the_same_file_exits_and_the_first_continues() {
    let (app, directory) = (start_failing_app().await, tempfile::tempdir().unwrap());
    let store = address(&directory);
    let gateway = GatewayProcess::start(&app, &environment(&store)).await;
    let error = error_at_start(Command::new(BINARY), &store);
    assert!(error.contains("held by another process"), "{error}");
    assert_eq!(log_out(&gateway, &app.sign_up()).await.status, 202);
    gateway.stop();
    assert!(
        is_closed_cleanly(&directory.path().join("store")),
        "the gateway closes the file when it gets a signal"
    );
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_file_that_cannot_be_written_is_an_error_at_startup() {
    let directory = tempfile::tempdir().unwrap();
    set_mode(directory.path(), 0o555);
    let error = error_at_start(unprivileged_gateway(), &address(&directory));
    assert!(error.contains("let this user read and write it and its directory"), "{error}");
    assert!(!directory.path().join("store").exists());

    set_mode(directory.path(), 0o755);
    fs::write(directory.path().join("store"), "").unwrap();
    set_mode(&directory.path().join("store"), 0o444);
    let error = error_at_start(unprivileged_gateway(), &address(&directory));
    assert!(error.contains("let this user read and write it and its directory"), "{error}");
}

#[tokio::test]
async fn a_logout_without_write_permission_is_reported_as_failed_and_never_as_queued() {
    let (app, directory) = (start_failing_app().await, tempfile::tempdir().unwrap());
    let (store, path) = (address(&directory), directory.path().join("store"));
    let command = with_limits("trap '' XFSZ", &unprivileged_gateway());
    let gateway = GatewayProcess::start_with_command(command, &app, &environment(&store)).await;
    set_mode(&path, 0o444);
    set_mode(directory.path(), 0o555);
    // The kernel checks permissions when a file is opened. The gateway has the file open, so it can still
    // write.
    let queued = app.sign_up();
    assert_eq!(log_out(&gateway, &queued).await.status, 202);
    // After a failed write the gateway opens the file again, which its permissions now forbid.
    let process = gateway.pid().try_into().unwrap();
    let limit = |most| prlimit(process, Resource::FSIZE, Some((most, u64::MAX)), None).unwrap();
    limit(0);
    let mut failed = Vec::new();
    for _ in 0..3 {
        let tokens = app.sign_up();
        let reply = log_out(&gateway, &tokens).await;
        assert_error(&reply, 500, "LOGOUT_FAILED", Some("auth_service_error"));
        assert_eq!(reply.header("x-logout-outcome"), Some("failed"));
        assert_eq!(
            verify(&gateway, &tokens).await,
            401,
            "the gateway refuses the session from memory"
        );
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
    let queued_sessions = queued_sessions(&gateway).await;
    let is_queued = |tokens: &Tokens| queued_sessions.contains(&tokens.session_id.to_string());
    assert!(is_queued(&queued) && is_queued(&next), "a queued logout is lost");
    assert!(!failed.iter().any(is_queued), "a failed logout is not in the queue");
    gateway.stop();
}
