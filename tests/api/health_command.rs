//! The command `health`, the health check of containers without a shell: its exit status and its text on stderr.

use std::{net::TcpListener, process::Command};

use rstest::rstest;
use serde_json::json;

use crate::harness::{GatewayProcess, Setup, TestApp, gateway_binary};

/// Runs `health` with only the variables of `environment`, and with a project URL. Returns the exit status and
/// stderr.
fn health(environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = Command::new(gateway_binary());
    command.arg("health").env_clear().env("SUPABASE_URL", "http://127.0.0.1:1");
    let run = command.envs(environment.iter().copied()).output().unwrap();
    (run.status.code(), String::from_utf8(run.stderr).unwrap())
}

/// A port of 127.0.0.1 on which nothing listens.
fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn health_reports_whether_the_configured_listener_is_ready() {
    let app = TestApp::new().await;
    let gateway = GatewayProcess::start(&app, &[]).await;
    let bind = gateway.address.to_string();
    assert_eq!(health(&[("GATEWAY_BIND", &bind)]), (Some(0), String::new()));
    gateway.stop();
    let (status, cause) = health(&[("GATEWAY_BIND", &bind)]);
    assert_eq!(status, Some(1));
    assert!(cause.contains(&bind) && cause.contains("refused"), "{cause}");
}

/// `/healthz` answers 200 here, because the process runs.
#[tokio::test]
async fn health_fails_while_a_running_gateway_can_verify_no_token() {
    let no_keys = json!({"operation": "jwks", "kind": "status", "status": 503});
    let app = Setup::new().without_readiness_check().start_with_faults(&[no_keys]).await;
    assert_eq!(app.get("/healthz").send().await.status, 200);
    let address = app.address.to_string();
    let cause = format!("the gateway at {address} is not ready: status 503\n");
    assert_eq!(health(&[("GATEWAY_BIND", &address)]), (Some(1), cause));
}

#[tokio::test]
async fn health_finds_a_listener_on_all_addresses_and_the_one_of_port() {
    let app = TestApp::new().await;
    let port = app.address.port().to_string();
    for (variable, value) in [("GATEWAY_BIND", &format!("0.0.0.0:{port}")), ("PORT", &port)] {
        assert_eq!(health(&[(variable, value)]), (Some(0), String::new()), "{variable}");
    }
}

/// Not every system can connect to the unspecified address, as Linux does.
#[rstest]
#[case::all_ipv4_addresses("GATEWAY_BIND", "0.0.0.0:", "127.0.0.1:")]
#[case::all_ipv6_addresses("GATEWAY_BIND", "[::]:", "[::1]:")]
#[case::port_alone("PORT", "", "127.0.0.1:")]
fn health_asks_loopback_if_the_listener_is_on_all_addresses(
    #[case] variable: &str,
    #[case] host: &str,
    #[case] asked: &str,
) {
    let port = closed_port();
    let (status, cause) = health(&[(variable, &format!("{host}{port}"))]);
    assert_eq!(status, Some(1), "{cause}");
    assert!(cause.starts_with(&format!("no gateway answers at {asked}{port}: ")), "{cause}");
}

#[test]
fn health_cannot_know_the_port_that_the_gateway_selected_itself() {
    let (status, cause) = health(&[("GATEWAY_BIND", "127.0.0.1:0")]);
    let expected =
        "GATEWAY_BIND has port 0, which the gateway replaced by a free port: set a port\n";
    assert_eq!((status, &*cause), (Some(1), expected));
}

#[tokio::test]
async fn health_asks_a_unix_socket() {
    let app = TestApp::new().await;
    let folder = tempfile::tempdir().unwrap();
    let bind = format!("unix:{}", folder.path().join("public").display());
    let gateway = GatewayProcess::start(&app, &[("GATEWAY_BIND", &bind)]).await;
    assert_eq!(health(&[("GATEWAY_BIND", &bind)]), (Some(0), String::new()));
    gateway.stop();
    let (status, cause) = health(&[("GATEWAY_BIND", &bind)]);
    assert_eq!(status, Some(1));
    assert!(cause.starts_with(&format!("no gateway answers at {bind}: ")), "{cause}");
    assert!(cause.contains("No such file"), "{cause}");
}

#[tokio::test]
async fn health_uses_no_proxy_of_the_environment() {
    let app = TestApp::new().await;
    let (address, proxy) = (app.address.to_string(), format!("http://127.0.0.1:{}", closed_port()));
    let proxies =
        ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    let proxies = proxies.map(|variable| (variable, &*proxy));
    let environment = [&proxies[..], &[("GATEWAY_BIND", &address)]].concat();
    assert_eq!(health(&environment), (Some(0), String::new()));
}

#[test]
fn health_names_an_invalid_variable_and_not_its_value() {
    let (status, error) = health(&[("GATEWAY_BIND", "nonsense")]);
    assert_eq!(status, Some(1));
    assert!(error.starts_with("GATEWAY_BIND: must be ") && !error.contains("nonsense"), "{error}");
}
