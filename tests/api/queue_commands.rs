//! The commands `logout-gateway queue` and `logout-gateway failures` of the real binary.

use std::process::Command;

use gotrue_mock::Tokens;
use logout_gateway::Clock;
use serde_json::{Value, json};

use crate::harness::{RedisServer, Setup, TestApp, eventually, leak_check};

/// Runs a command on the store; returns its exit status, the lines of standard output, and standard error.
pub(crate) fn run(store: &str, arguments: &[&str]) -> (Option<i32>, Vec<String>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_logout-gateway"));
    command.env_clear().args(arguments).env("GATEWAY_STORE", store);
    let output = command.output().unwrap();
    leak_check::record_log([&*output.stdout, &*output.stderr].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(str::to_owned).collect();
    (output.status.code(), lines, String::from_utf8(output.stderr).unwrap())
}

#[track_caller]
fn json_rows(store: &str, arguments: &[&str]) -> Vec<Value> {
    let (status, lines, stderr) = run(store, arguments);
    assert_eq!(status, Some(0), "{stderr}");
    lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Queues two logouts whose next attempt is almost an hour later; returns their sessions and the ids of their
/// entries.
async fn queue_two_logouts(app: &TestApp, store: &str) -> [(Tokens, String); 2] {
    app.inject_fault(json!({"operation": "logout", "kind": "status", "status": 429,
        "headers": {"Retry-After": "3000"}}));
    let both = [app.sign_up(), app.sign_up()];
    for tokens in &both {
        let reply = app.post("/logout").bearer(&tokens.access_token).send().await;
        assert_eq!(reply.status, 202);
    }
    app.mock.clear_faults();
    let are_logged = async || json_rows(store, &["failures"]).len() == 2;
    eventually("the failure log has both", are_logged).await;
    let entries = json_rows(store, &["queue", "list"]);
    assert_eq!(entries.len(), 2);
    assert!(entries.iter().all(|entry| entry.get("sealed").is_none()), "{entries:?}");
    both.map(|tokens| {
        let entry = entries.iter().find(|entry| entry["session_id"] == json!(tokens.session_id));
        (tokens, entry.unwrap()["id"].as_str().unwrap().to_owned())
    })
}

/// Starts a gateway on the system's clock, because the commands use the system's clock.
async fn start_app_with_store(store: &str) -> TestApp {
    Setup::new().start_time(Clock::system().unix_seconds()).flag("store", store).start().await
}

#[tokio::test]
async fn beside_a_stopped_gateway_retried_entries_run_next_and_dropped_entries_are_gone() {
    let directory = tempfile::tempdir().unwrap();
    let store = format!("file:{}", directory.path().join("store").display());
    let mut app = start_app_with_store(&store).await;
    let [(first, first_id), (second, second_id)] = queue_two_logouts(&app, &store).await;
    let (status, _, stderr) = run(&store, &["queue", "drop", "--all"]);
    assert_eq!((status, stderr.contains("held by another process")), (Some(1), true), "{stderr}");
    app.stop_gateway();

    // The command gets the same id twice. When it reads the second one, the entry is no longer in the queue.
    let (status, lines, stderr) = run(&store, &["queue", "retry", &first_id, &first_id]);
    assert_eq!((status, &*lines[0]), (Some(0), &*format!("{first_id}: due now")), "{stderr}");
    assert!(lines[1].starts_with(&format!("{first_id}: gone already")), "{lines:?}");
    let calls_before = app.gotrue_call_count();
    app.restart_gateway(&[]);
    app.advance_time(60);
    eventually("the retried logout is done", async || !app.is_alive(&first)).await;
    let left = async || json_rows(&store, &["queue", "list"]).len() == 1;
    eventually("only the other entry is queued", left).await;
    assert_eq!((app.is_alive(&second), app.gotrue_call_count()), (true, calls_before + 1));
    app.stop_gateway();

    let (status, lines, stderr) = run(&store, &["queue", "drop", "--all"]);
    assert_eq!((status, lines), (Some(0), vec![format!("{second_id}: dropped")]), "{stderr}");
    assert!(json_rows(&store, &["queue", "list"]).is_empty());
    assert_eq!(json_rows(&store, &["failures"])[0]["outcome"], "dropped");
}

#[tokio::test]
async fn beside_a_running_gateway_redis_is_listed_retried_and_dropped() {
    let redis = RedisServer::start().await;
    let store = redis.url();
    let app = start_app_with_store(&store).await;
    let [(first, first_id), (second, second_id)] = queue_two_logouts(&app, &store).await;

    let (status, lines, stderr) = run(&store, &["queue", "drop", &first_id, &first_id]);
    let [dropped, gone] = ["dropped", "gone already"].map(|result| format!("{first_id}: {result}"));
    assert_eq!((status, lines), (Some(0), vec![dropped, gone]), "{stderr}");
    let failures = json_rows(&store, &["failures"]);
    let outcomes: Vec<_> = failures.iter().map(|failure| failure["outcome"].clone()).collect();
    assert_eq!(outcomes, ["dropped", "queued", "queued"], "the entry is dropped once");
    assert_eq!(failures[0]["session_id"], json!(first.session_id));
    for command in ["retry", "drop"] {
        let (status, lines, stderr) = run(&store, &["queue", command, &first_id]);
        assert_eq!((status, lines.len()), (Some(1), 0), "{command}");
        assert_eq!(
            stderr,
            format!("{first_id}: the queue has no such entry; `queue list` shows the ids\n"),
            "{command}"
        );
    }

    let (status, lines, stderr) = run(&store, &["queue", "retry", "--all"]);
    assert_eq!((status, lines), (Some(0), vec![format!("{second_id}: due now")]), "{stderr}");
    app.advance_time(60);
    eventually("the retried logout is done", async || !app.is_alive(&second)).await;
    eventually("the queue is empty", async || json_rows(&store, &["queue", "list"]).is_empty())
        .await;
    assert!(app.is_alive(&first));
}

#[tokio::test]
async fn a_dropped_entry_that_cannot_be_logged_is_printed() {
    let redis = RedisServer::start().await;
    let store = redis.url();
    let app = start_app_with_store(&store).await;
    let [(first, first_id), _] = queue_two_logouts(&app, &store).await;
    redis.command::<()>(&["ACL", "SETUSER", "default", "-lpush"]);
    let (status, lines, stderr) = run(&store, &["queue", "drop", &first_id]);
    assert_eq!((status, lines.len()), (Some(1), 0), "{stderr}");
    for words in [&*first_id, "not in the failure log", &first.session_id.to_string()] {
        assert!(stderr.contains(words), "{words}: {stderr}");
    }
    assert_eq!(json_rows(&store, &["queue", "list"]).len(), 1);
}

#[tokio::test]
async fn drop_all_empties_a_full_redis_and_prints_the_entries_that_are_not_in_the_failure_log() {
    let redis = RedisServer::start().await;
    let store = redis.url();
    let app = start_app_with_store(&store).await;
    let queued = queue_two_logouts(&app, &store).await;
    app.stop_gateway();
    redis.command::<String>(&["CONFIG", "SET", "maxmemory", "1"]);
    let (status, lines, stderr) = run(&store, &["queue", "drop", "--all"]);
    assert_eq!((status, lines.len()), (Some(1), 0), "{stderr}");
    for (tokens, id) in &queued {
        let line = stderr.lines().find(|line| line.starts_with(id.as_str()));
        let line = line.unwrap_or_else(|| panic!("{id}: {stderr}"));
        for words in ["not in the failure log", &tokens.session_id.to_string(), "out of memory"] {
            assert!(line.contains(words), "{words}: {line}");
        }
    }
    assert!(stderr.lines().last().unwrap().starts_with("2 dropped logouts"), "{stderr}");
    assert!(json_rows(&store, &["queue", "list"]).is_empty());
    assert_eq!(json_rows(&store, &["failures"]).len(), 2, "no entry was added");
}

#[test]
fn no_command_creates_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = format!("file:{}", path.display());
    for arguments in [
        &["queue", "list"][..],
        &["queue", "retry", "--all"],
        &["queue", "drop", "--all"],
        &["failures"],
    ] {
        let (status, lines, stderr) = run(&store, arguments);
        assert_eq!((status, lines.len()), (Some(1), 0), "{arguments:?}: {stderr}");
        assert!(stderr.contains(path.to_str().unwrap()), "{arguments:?}: {stderr}");
        assert!(!path.exists(), "{arguments:?}");
    }
}

/// Runs a command whose output is a terminal; returns the output.
fn run_on_a_terminal(store: &str, arguments: &str) -> String {
    let command = format!("{} {arguments}", env!("CARGO_BIN_EXE_logout-gateway"));
    let mut terminal = Command::new("script");
    terminal.args(["--quiet", "--return", "--command", &command, "/dev/null"]);
    let output = terminal.env("GATEWAY_STORE", store).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().replace('\r', "")
}

#[tokio::test]
async fn on_a_terminal_the_queue_and_the_failures_are_tables() {
    let directory = tempfile::tempdir().unwrap();
    let store = format!("file:{}", directory.path().join("store").display());
    let app: TestApp = Setup::new().flag("store", &store).start().await;
    let banned = app.sign_up();
    assert!(app.mock.ban_user(banned.user_id));
    app.post("/logout").bearer(&banned.access_token).send().await;
    app.inject_fault(json!({"operation": "logout", "kind": "status", "status": 500}));
    let queued = app.sign_up();
    app.post("/logout").bearer(&queued.access_token).send().await;
    app.stop_gateway();

    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let listed = run_on_a_terminal(&store, "queue list");
    let [head, row] = &listed.lines().collect::<Vec<_>>()[..] else { panic!("{listed}") };
    let columns = ["id", "queued_at", "due_at", "attempts", "scope", "user_id", "reason"];
    assert_eq!(words(head), columns);
    let cells = words(row);
    assert_eq!(cells[4..], ["local", &queued.user_id.to_string(), "auth_service_error"], "{row}");
    assert_eq!(head.find("user_id"), row.find(&queued.user_id.to_string()), "{listed}");

    let listed = run_on_a_terminal(&store, "failures");
    let lines: Vec<Vec<String>> = listed.lines().map(words).collect();
    assert_eq!(lines.len(), 3, "{listed}");
    assert_eq!(lines[1][1..4], ["queued", "auth_service_error", "500"], "{listed}");
    assert_eq!(lines[2][1..3], ["failed", "user_banned"], "{listed}");
}

#[test]
fn a_bad_store_and_a_store_without_a_queue_are_errors() {
    for (store, arguments, status, words) in [
        ("memory", &["queue", "list"][..], 2, "no queue"),
        ("nonsense", &["queue", "list"], 2, "GATEWAY_STORE: must be"),
        ("file:/nonexistent/store", &["failures"], 1, "/nonexistent"),
        ("memory", &["queue", "drop"], 2, "Usage"),
        ("memory", &["queue", "drop", "--all", "00000000-0000-0000-0000-000000000001"], 2, "Usage"),
    ] {
        let (code, lines, stderr) = run(store, arguments);
        assert_eq!(code, Some(status), "{store} {arguments:?}: {stderr}");
        assert!(stderr.contains(words) && lines.is_empty(), "{store} {arguments:?}: {stderr}");
    }
}
