//! `logout-gateway mock -- <command>`: the command's environment, streams, signals and exit status, and what remains.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use rstest::rstest;

use super::{mock, run, running_project::RunningProject, send};
use crate::harness::eventually;

#[tokio::test]
async fn the_command_finds_the_project_in_its_environment() {
    let project = RunningProject::start(&[]);
    let described = project.request("GET", "/mock/project").send().await.json();
    for (variable, member) in [
        ("SUPABASE_URL", "url"),
        ("SUPABASE_ANON_KEY", "anon_key"),
        ("SUPABASE_SERVICE_ROLE_KEY", "service_role_key"),
        ("SUPABASE_JWKS_URL", "jwks_url"),
    ] {
        assert_eq!(described[member], project.variables[variable], "{variable}");
    }
    assert!(!project.variables.contains_key("GATEWAY_URL"));
    let url = &project.variables["SUPABASE_URL"];
    assert_eq!(described["issuer"], format!("{url}/auth/v1"));
    assert_eq!(
        project.variables["SUPABASE_JWKS_URL"],
        format!("{url}/auth/v1/.well-known/jwks.json")
    );

    let users = async |key: &str| {
        let request = project.request("GET", "/auth/v1/admin/users");
        request.bearer(&project.variables[key]).send().await.status
    };
    assert_eq!(users("SUPABASE_SERVICE_ROLE_KEY").await, 200);
    assert_eq!(users("SUPABASE_ANON_KEY").await, 403);
    assert_eq!(project.finish(), Some(0));
}

#[test]
fn the_command_has_the_standard_streams_to_itself() {
    let mut command = mock(&["--", "sh", "-c", "cat; echo problem >&2"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"a\0b\n").unwrap();
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    assert!(status.success());
    assert_eq!(stdout, b"a\0b\n");
    let stderr = String::from_utf8(stderr).unwrap();
    assert!(stderr.starts_with("listening on ") && stderr.ends_with("\nproblem\n"), "{stderr}");
}

#[rstest]
#[case::of_the_command(&["sh", "-c", "exit 7"], 7, "")]
#[case::of_a_kill(&["sh", "-c", "kill -KILL $$"], 128 + 9, "")]
#[case::of_a_signal(&["sh", "-c", "kill -TERM $$"], 128 + 15, "")]
#[case::of_a_missing_command(&["no-such-command"], 127, "cannot run no-such-command")]
#[case::of_a_file_that_is_no_program(&["./Cargo.toml"], 126, "cannot run ./Cargo.toml")]
#[test]
fn the_exit_status_is_that_which_a_shell_would_have(
    #[case] command: &[&str],
    #[case] expected: i32,
    #[case] message: &str,
) {
    let Output { status, stderr, .. } = run(&[&["--"], command].concat());
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(expected), "{stderr}");
    let errors: Vec<_> = stderr.lines().filter(|line| !line.starts_with("listening")).collect();
    assert_eq!(errors.len(), usize::from(!message.is_empty()), "{stderr}");
    assert!(stderr.contains(message), "{stderr}");
}

#[test]
fn the_command_does_not_run_if_the_mock_cannot_listen() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let Output { status, stdout, stderr } = run(&["--bind", &address, "--", "echo", "ran"]);
    assert_eq!((status.code(), stdout), (Some(1), Vec::new()));
    assert!(String::from_utf8(stderr).unwrap().contains(&address));
}

#[test]
fn a_command_runs_at_the_address_that_was_asked_for() {
    let free =
        std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let Output { stdout, .. } = run(&["--bind", &free, "--", "sh", "-c", "echo $SUPABASE_URL"]);
    assert_eq!(String::from_utf8(stdout).unwrap(), format!("http://{free}\n"));
}

#[test]
fn mock_and_gateway_of_a_command_listen_on_loopback() {
    let print = ["--gateway", "--", "sh", "-c", "echo $SUPABASE_URL; echo $GATEWAY_URL"];
    let printed = String::from_utf8(run(&print).stdout).unwrap();
    let urls: Vec<_> = printed.lines().collect();
    assert_eq!(urls.len(), 2, "{printed}");
    for url in urls {
        let port: u16 = url.strip_prefix("http://127.0.0.1:").unwrap().parse().unwrap();
        assert!(port > 0, "{url}");
    }
}

#[test]
fn a_mock_without_a_command_listens_on_port_9999_of_loopback() {
    // The port is in use: by this test, or by another program of the machine.
    let _taken = std::net::TcpListener::bind("127.0.0.1:9999");
    let Output { status, stderr, .. } = run(&[]);
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("cannot listen on 127.0.0.1:9999: "), "{stderr}");
}

#[test]
fn mock_and_gateway_answer_before_the_command_starts() {
    let script = "exec curl -sf $SUPABASE_URL/auth/v1/health $GATEWAY_URL/readyz";
    let Output { status, stdout, .. } = run(&["--gateway", "--", "sh", "-c", script]);
    let stdout = String::from_utf8(stdout).unwrap();
    assert_eq!(status.code(), Some(0), "{stdout}");
    assert!(stdout.contains("GoTrue"), "{stdout}");
}

/// The command's parent is the mock, whose open files the command lists.
#[test]
fn the_mock_writes_no_file_and_has_none_open() {
    let directory = tempfile::tempdir().unwrap();
    let user = r#"{"email":"ada@example.com","password":"secret-password-1"}"#;
    let script = format!(
        "curl -sf -o /dev/null -d '{user}' $SUPABASE_URL/auth/v1/signup || exit
        # A descriptor may be closed meanwhile.
        find -L /proc/$PPID/fd -type s -printf 'socket\\n' -o -type f -print 2>/dev/null || :"
    );
    let mut command = mock(&["--gateway", "--", "sh", "-c", &script]);
    command.current_dir(&directory).env("HOME", directory.path()).env("TMPDIR", directory.path());
    command.stdin(Stdio::null());
    let Output { status, stdout, .. } = command.output().unwrap();
    assert!(status.success(), "{status}");
    let open = String::from_utf8(stdout).unwrap();
    assert!(!open.is_empty() && open.lines().all(|line| line == "socket"), "{open}");
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 0);
}

/// The lines that the process prints to standard output.
fn lines(process: &mut Child) -> impl Iterator<Item = String> + use<> {
    BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap)
}

#[test]
fn a_command_runs_although_standard_error_cannot_be_written() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let Output { status, stdout, .. } =
        mock(&["--", "sh", "-c", "echo ran; exit 4"]).stderr(full).output().unwrap();
    assert_eq!((status.code(), &*stdout), (Some(4), &b"ran\n"[..]));
}

#[test]
fn two_hyphens_without_a_command_are_an_error_and_no_mock_that_runs_on() {
    let Output { status, stderr, .. } = run(&["--"]);
    assert_eq!(status.code(), Some(2));
    assert!(String::from_utf8(stderr).unwrap().contains("no command after --"));
}

#[test]
fn the_gateway_of_the_caller_is_not_passed_to_a_command_without_one() {
    let mut command = mock(&["--", "sh", "-c", "echo gateway:$GATEWAY_URL"]);
    let Output { stdout, .. } = command.env("GATEWAY_URL", "http://evil.invalid").output().unwrap();
    assert_eq!(String::from_utf8(stdout).unwrap(), "gateway:\n");
}

fn exists(process: &str) -> bool {
    Path::new("/proc").join(process).exists()
}

#[rstest]
#[case("TERM")]
#[case("INT")]
#[case("HUP")]
#[case("QUIT")]
#[case("USR1")]
#[case("USR2")]
#[case("ALRM")]
#[test]
fn a_signal_is_passed_on_to_the_command_and_the_mock_waits_for_it(#[case] signal: &str) {
    let script = format!(
        "trap 'echo cleaned up; exit 9' {signal}; echo ready; while :; do sleep 0.02; done"
    );
    // In a session of its own the mock has no terminal, from which Ctrl-C could have come.
    let mut command = Command::new("setsid");
    command.args([env!("CARGO_BIN_EXE_logout-gateway"), "mock", "--", "sh", "-c", &script]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = lines(&mut child);
    assert_eq!(lines.next().unwrap(), "ready");
    send(signal, child.id());
    assert_eq!(lines.next().unwrap(), "cleaned up");
    assert_eq!(child.wait().unwrap().code(), Some(9));
}

/// `script` runs the mock in a terminal, and `setsid` keeps the command out of the terminal's foreground, so that a
/// SIGINT which the command gets can only come from the mock.
#[test]
fn ctrl_c_is_not_passed_on_because_the_terminal_sends_it_to_the_command_itself() {
    let traps = "for s in INT HUP TERM; do trap \"echo got $s\" $s; done; trap 'echo got TERM; exit 9' TERM";
    let inner = format!("{traps}; echo parent $PPID; while :; do sleep 0.02; done");
    let binary = env!("CARGO_BIN_EXE_logout-gateway");
    let quoted = inner.replace('\'', r"'\''");
    let mut command = Command::new("script");
    command.args(["-qec", &format!("exec {binary} mock -- setsid sh -c '{quoted}'"), "/dev/null"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = lines(&mut child);
    let parent = lines.find_map(|line| line.strip_prefix("parent ").map(str::to_owned)).unwrap();
    let parent = parent.trim().parse().unwrap();
    child.stdin.as_mut().unwrap().write_all(b"\x03").unwrap();
    let mut printed = String::new();
    // The mock handles the SIGINT of the terminal before or with the SIGHUP.
    for signal in ["HUP", "TERM"] {
        let until = format!("got {signal}");
        send(signal, parent);
        for line in lines.by_ref() {
            printed.push_str(&line);
            if line.contains(&until) {
                break;
            }
        }
    }
    printed.extend(lines);
    assert_eq!(child.wait().unwrap().code(), Some(9), "{printed}");
    assert!(printed.contains("got HUP") && !printed.contains("got INT"), "{printed}");
}

#[rstest]
#[case::a_process_in_the_background("sleep 1000 & echo $!")]
#[case::a_process_in_a_session_of_its_own("setsid sleep 1000 & echo $!")]
#[case::a_process_of_a_process(
    "{ (sleep 1000 & echo $!; exec sleep 1000) & } | { read -r id; echo $id; }"
)]
#[case::a_process_that_ignores_sigterm("(trap '' TERM; exec sleep 1000) & echo $!")]
#[test]
fn a_process_that_the_command_leaves_behind_is_ended(#[case] script: &str) {
    // `output` waits until no process has the pipe of standard output any more.
    let Output { stdout, .. } = run(&["--", "sh", "-c", script]);
    let process = String::from_utf8(stdout).unwrap();
    assert!(!process.is_empty() && !exists(process.trim()), "{process}");
}

#[test]
fn a_process_that_the_shell_has_started_before_the_mock_goes_on() {
    let binary = env!("CARGO_BIN_EXE_logout-gateway");
    let script =
        format!("sleep 1000 >/dev/null 2>&1 & echo $!; exec {binary} mock -- sh -c 'sleep 1000 &'");
    let mut command = Command::new("sh");
    let Output { stdout, .. } =
        command.args(["-c", &script]).stdin(Stdio::null()).output().unwrap();
    let process = String::from_utf8(stdout).unwrap();
    assert!(exists(process.trim()));
    send("KILL", process.trim().parse().unwrap());
}

#[tokio::test]
async fn the_mock_ends_with_its_command() {
    let project = RunningProject::start(&["--gateway"]);
    let addresses = ["SUPABASE_URL", "GATEWAY_URL"].map(|variable| project.address(variable));
    for address in addresses {
        assert!(tokio::net::TcpStream::connect(address).await.is_ok());
    }
    assert_eq!(project.finish(), Some(0));
    let closed = async || {
        let [mock, gateway] = addresses.map(tokio::net::TcpStream::connect);
        mock.await.is_err() && gateway.await.is_err()
    };
    eventually("mock and gateway have ended", closed).await;
}
