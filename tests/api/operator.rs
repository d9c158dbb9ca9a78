//! `logout-gateway queue` and `logout-gateway failures`, as an operator runs them beside a stopped gateway.

use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Setup, Stage};

/// What a command told: exit status, lines of standard output, standard error.
fn run(store: &str, arguments: &[&str]) -> (Option<i32>, Vec<String>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_logout-gateway"));
    command.env_clear().args(arguments).env("GATEWAY_STORE", store);
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(str::to_owned).collect();
    (output.status.code(), lines, String::from_utf8(output.stderr).unwrap())
}

#[track_caller]
fn rows(store: &str, arguments: &[&str]) -> Vec<Value> {
    let (status, lines, told) = run(store, arguments);
    assert_eq!(status, Some(0), "{told}");
    lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn what_waits_is_listed_retried_and_dropped_and_what_was_dropped_is_a_failure() {
    let directory = tempfile::tempdir().unwrap();
    let store = format!("file:{}", directory.path().join("store").display());
    let mut stage: Stage = Setup::new().flag("store", &store).start().await;
    stage.fault(json!({"operation": "logout", "kind": "status", "status": 500}));
    let (first, second) = (stage.sign_up(), stage.sign_up());
    for tokens in [&first, &second] {
        let reply = stage.post("/logout").bearer(&tokens.access_token).send().await;
        assert_eq!(reply.status, 202);
    }
    stage.stop_gateway();

    let waiting = rows(&store, &["queue", "list"]);
    let sessions: Vec<_> = waiting.iter().map(|entry| entry["session_id"].clone()).collect();
    assert_eq!(sessions.len(), 2);
    assert!(sessions.contains(&json!(first.session_id)));
    assert!(waiting.iter().all(|entry| entry.get("sealed").is_none()), "{waiting:?}");
    let id_of = |tokens: &logout_gateway::mock::Tokens| {
        let entry = waiting.iter().find(|entry| entry["session_id"] == json!(tokens.session_id));
        entry.unwrap()["id"].as_str().unwrap().to_owned()
    };
    let (status, lines, _) = run(&store, &["queue", "drop", &id_of(&first)]);
    assert_eq!((status, lines.len()), (Some(0), 1));
    let (status, _, told) = run(&store, &["queue", "drop", &id_of(&first)]);
    assert_eq!((status, told.contains("no such entry")), (Some(1), true), "{told}");
    let failures = rows(&store, &["failures"]);
    assert_eq!(failures[0]["outcome"], "dropped");
    assert_eq!(failures[0]["session_id"], json!(first.session_id));
    assert_eq!(failures.len(), 3, "both were told as queued, too");

    let due = |entries: &[Value]| entries[0]["due_at"].as_str().unwrap().to_owned();
    let (status, _, told) = run(&store, &["queue", "retry", "--all"]);
    assert_eq!(status, Some(0), "{told}");
    let left = rows(&store, &["queue", "list"]);
    assert_eq!((left.len(), &left[0]["session_id"]), (1, &json!(second.session_id)));
    assert_ne!(
        due(&left),
        waiting[0]["due_at"].as_str().unwrap(),
        "due now, by the system's clock"
    );

    stage.restart(&[]);
    assert!(stage.alive(&first) && stage.alive(&second));
}

/// What the command shows on a terminal.
fn run_on_a_terminal(store: &str, arguments: &str) -> String {
    let command = format!("{} {arguments}", env!("CARGO_BIN_EXE_logout-gateway"));
    let mut terminal = Command::new("script");
    terminal.args(["--quiet", "--return", "--command", &command, "/dev/null"]);
    let output = terminal.env("GATEWAY_STORE", store).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().replace('\r', "")
}

#[tokio::test]
async fn on_a_terminal_what_waits_and_what_failed_are_tables() {
    let directory = tempfile::tempdir().unwrap();
    let store = format!("file:{}", directory.path().join("store").display());
    let stage: Stage = Setup::new().flag("store", &store).start().await;
    let banned = stage.sign_up();
    assert!(stage.mock.ban_user(banned.user_id));
    stage.post("/logout").bearer(&banned.access_token).send().await;
    stage.fault(json!({"operation": "logout", "kind": "status", "status": 500}));
    let queued = stage.sign_up();
    stage.post("/logout").bearer(&queued.access_token).send().await;
    stage.stop_gateway();

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
fn a_store_that_has_no_queue_or_is_none_is_told() {
    for (store, arguments, status, words) in [
        ("memory", &["queue", "list"][..], 2, "no queue"),
        ("nonsense", &["queue", "list"], 2, "GATEWAY_STORE: must be"),
        ("file:/nonexistent/store", &["failures"], 1, "/nonexistent"),
        ("memory", &["queue", "drop"], 2, "Usage"),
        ("memory", &["queue", "drop", "--all", "00000000-0000-0000-0000-000000000001"], 2, "Usage"),
    ] {
        let (code, lines, told) = run(store, arguments);
        assert_eq!(code, Some(status), "{store} {arguments:?}: {told}");
        assert!(told.contains(words) && lines.is_empty(), "{store} {arguments:?}: {told}");
    }
}
