//! The command `logout-gateway mock`, which starts the GoTrue mock: its flags, its exit status and signals.

#![expect(clippy::unwrap_used, reason = "a helper that panics makes its test fail, as it should")]

mod command;
mod fallback;
mod gateway;
mod running_project;
mod settings;
mod tokens;

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Command, Output, Stdio},
};

use rstest::rstest;
use serde_json::json;

use self::running_project::RunningProject;

fn mock(flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_logout-gateway"));
    command.arg("mock").args(flags).stdin(Stdio::null());
    command
}

fn run(flags: &[&str]) -> Output {
    mock(flags).output().unwrap()
}

/// Sends the signal with this name, such as `TERM`, to a process.
fn send(signal: &str, process: u32) {
    let (flag, id) = (format!("-{signal}"), process.to_string());
    assert!(Command::new("kill").args([flag, id]).status().unwrap().success());
}

#[rstest]
#[case::an_address("--bind", "nonsense")]
#[case::an_algorithm("--alg", "none")]
#[case::a_duration("--token-lifetime", "soon")]
#[case::less_than_a_second("--token-lifetime", "10ms")]
#[case::a_missing_file("--signing-keys", "/nonexistent.json")]
#[case::a_file_without_keys("--signing-keys", "Cargo.toml")]
#[case::no_list_of_users("--users", "Cargo.toml")]
#[case::a_number("--seed", "x")]
#[case::a_provider("--provider", "nope")]
#[case::a_span_of_time("--timebox", "soon")]
#[case::a_url("--site-url", "nowhere")]
#[case::a_phone_number_without_a_code("--test-otp", "15550100001")]
#[case::kinds_of_characters("--password-requirements", "runes")]
#[case::an_external_url_without_a_scheme("--external-url", "mock:9999")]
#[case::a_fallback_with_https("--fallback", "https://example.com")]
#[case::a_fallback_with_credentials("--fallback", "http://name:secret@127.0.0.1:3000")]
#[case::a_fallback_with_a_query("--fallback", "http://127.0.0.1:3000/?a=b")]
#[test]
fn an_invalid_flag_is_named_and_the_exit_status_is_two(#[case] flag: &str, #[case] value: &str) {
    let Output { status, stderr, .. } = run(&[flag, value]);
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(2), "{stderr}");
    assert!(stderr.contains(flag), "{stderr}");
}

#[test]
fn every_flag_that_the_documentation_names_exists() {
    let page = std::fs::read_to_string("docs/ci.md").unwrap();
    let help = String::from_utf8(run(&["--help"]).stdout).unwrap();
    // Lines of other programs, such as npm, have flags of their own.
    let page: String = page
        .lines()
        .filter(|line| !line.contains("npm install"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let words = page.split(|letter: char| letter != '-' && !letter.is_ascii_alphanumeric());
    let flags: Vec<&str> = words.filter(|word| word.starts_with("--") && word.len() > 3).collect();
    assert!(flags.len() > 10, "{flags:?}");
    for flag in flags {
        assert!(
            help.contains(&format!("{flag} ")) || help.contains(&format!("{flag}\n")),
            "{flag}"
        );
    }
}

#[test]
fn keys_of_another_algorithm_are_named_and_the_exit_status_is_two() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    write!(file, "{}", json!({"keys": []})).unwrap();
    let path = file.path().to_str().unwrap();
    let Output { status, stderr, .. } = run(&["--signing-keys", path, "--alg", "EdDSA"]);
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("--signing-keys") && stderr.contains("EdDSA"), "{stderr}");
}

#[tokio::test]
async fn the_users_of_a_file_can_sign_in() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    write!(file, "{}", json!([{"email": "ann@example.com", "password": "secret-password-1"}]))
        .unwrap();
    let project = RunningProject::start(&["--users", file.path().to_str().unwrap()]);
    let request = project.request("POST", "/auth/v1/token?grant_type=password");
    let body = json!({"email": "ann@example.com", "password": "secret-password-1"}).to_string();
    let reply = request.header("Content-Type", "application/json").body(body).send().await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(project.finish(), Some(0));
}

#[test]
fn an_address_in_use_is_named_and_the_exit_status_is_one() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let Output { status, stderr, .. } = run(&["--bind", &address]);
    assert_eq!(status.code(), Some(1));
    assert!(String::from_utf8(stderr).unwrap().contains(&address));
}

#[rstest]
#[case::terminate("TERM")]
#[case::interrupt("INT")]
#[test]
fn the_mock_logs_its_address_serves_and_exits_with_status_zero_on_a_signal(#[case] signal: &str) {
    let flags = ["--bind", "127.0.0.1:0", "--seed", "--alg", "RS256", "--token-lifetime", "2s"];
    let mut child = mock(&flags).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    let (message, url) = line.trim().rsplit_once(' ').unwrap();
    assert!(message.contains("listening"), "{line}");

    let address = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET /auth/v1/health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert!(response.starts_with("HTTP/1.1 200 OK") && response.contains("GoTrue"), "{response}");

    send(signal, child.id());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
