//! How the gateway's process starts, survives a lack of resources, and stops.

use std::{
    io::Write as _,
    net::SocketAddr,
    process::Command,
    time::{Duration, Instant},
};

use axum::Router;
use logout_gateway::{Clock, Gateway};
use rstest::rstest;
use serde_json::json;
use tokio::net::TcpStream;

use crate::harness::{
    Connection, GatewayProcess, Reply, Request, Setup, TestApp, assert_not_ready, eventually,
};

const TIMEOUT: Duration = Duration::from_secs(20);

/// Starts a test app on the system's clock, because the real binary runs on it.
async fn start_app() -> TestApp {
    Setup::new().start_time(Clock::system().unix_seconds()).start().await
}

/// Starts a logout to which GoTrue responds late; returns its connection once GoTrue has received the
/// request.
async fn start_logout(app: &TestApp, gateway: SocketAddr, token: &str) -> Connection {
    let before = app.gotrue_calls("logout").len();
    let mut connection = Connection::open(gateway).await;
    let request = Request::new(gateway, "POST", "/api/auth/logout").bearer(token);
    connection.write(&request.bytes(true)).await;
    eventually("GoTrue gets the logout", || async { app.gotrue_calls("logout").len() > before })
        .await;
    connection
}

async fn admin_get(gateway: &GatewayProcess, path: &str) -> Reply {
    Request::new(gateway.admin_address.unwrap(), "GET", path).send().await
}

#[rstest]
#[case::terminate("TERM")]
#[case::interrupt("INT")]
#[tokio::test]
async fn a_signal_drains_requests_and_accepts_no_new_ones(#[case] signal: &str) {
    let app = start_app().await;
    let gateway = GatewayProcess::start(&app, &[("GATEWAY_ADMIN_BIND", "127.0.0.1:0")]).await;
    assert_eq!(admin_get(&gateway, "/readyz").await.status, 200);
    let tokens = app.sign_up();
    app.inject_fault(json!({"operation": "logout", "kind": "delay", "seconds": 1.5, "times": 1}));
    let mut pending = start_logout(&app, gateway.address, &tokens.access_token).await;
    let mut idle = Connection::open(gateway.address).await;
    idle.write(&gateway.request("GET", "/healthz").bytes(false)).await;
    assert_eq!(idle.reply(false).await.unwrap().status, 200);

    gateway.signal(signal);
    eventually("the listener is closed", || async {
        TcpStream::connect(gateway.address).await.is_err()
    })
    .await;
    assert_not_ready(&admin_get(&gateway, "/readyz").await, "shutting_down");
    assert_eq!(
        admin_get(&gateway, "/healthz").await.status,
        200,
        "the process is alive while it drains"
    );
    assert!(idle.is_closed_by_peer().await, "a connection without a request is closed");
    assert!(app.is_alive(&tokens), "the logout is not done yet");

    assert_eq!(pending.reply(false).await.unwrap().status, 200);
    assert!(!app.is_alive(&tokens));
    let (status, log) = gateway.wait_for_exit();
    assert_eq!(status.code(), Some(0), "{}", log.text);
}

#[rstest]
#[case::terminate("TERM", 143)]
#[case::interrupt("INT", 130)]
#[tokio::test]
async fn a_second_signal_ends_the_process_at_once(#[case] second: &str, #[case] expected: i32) {
    let app = start_app().await;
    let long = [("GATEWAY_UPSTREAM_TIMEOUT", "1h"), ("GATEWAY_DRAIN_TIMEOUT", "1h")];
    let gateway = GatewayProcess::start(&app, &long).await;
    let tokens = app.sign_up();
    app.inject_fault(json!({"operation": "logout", "kind": "hang", "times": 1}));
    let _pending = start_logout(&app, gateway.address, &tokens.access_token).await;
    gateway.signal("TERM");
    eventually("the listener is closed", || async {
        TcpStream::connect(gateway.address).await.is_err()
    })
    .await;
    gateway.signal(second);
    let ended = tokio::task::spawn_blocking(|| gateway.wait_for_exit().0.code());
    let code = tokio::time::timeout(TIMEOUT, ended).await.expect("the process ends").unwrap();
    assert_eq!(code, Some(expected));
}

#[tokio::test]
async fn a_stop_waits_for_running_logouts() {
    let app = TestApp::new().await;
    let tokens = app.sign_up();
    app.inject_fault(json!({"operation": "logout", "kind": "delay", "seconds": 1, "times": 1}));
    let mut pending = start_logout(&app, app.address, &tokens.access_token).await;
    let disconnected = app.sign_up();
    app.inject_fault(json!({"operation": "logout", "kind": "delay", "seconds": 1, "times": 1}));
    drop(start_logout(&app, app.address, &disconnected.access_token).await);
    assert!(app.is_alive(&tokens) && app.is_alive(&disconnected));

    app.stop_gateway();
    let reply = pending.reply(false).await.unwrap();
    assert_eq!((reply.status, reply.header("x-logout-outcome")), (200, Some("revoked")));
    assert!(!app.is_alive(&tokens));
    assert!(
        !app.is_alive(&disconnected),
        "the stop also waits for the logout whose client disconnected"
    );
    assert!(TcpStream::connect(app.address).await.is_err());
}

#[tokio::test]
async fn a_stop_waits_for_the_key_set_that_a_request_needs() {
    let app = TestApp::with_flags(&[("drain-timeout", "8s"), ("upstream-timeout", "1m")]).await;
    app.mock.rotate_keys().unwrap();
    let tokens = app.sign_up();
    app.inject_fault(json!({"operation": "jwks", "kind": "delay", "seconds": 1, "times": 1}));
    let fetched = || app.gotrue_calls(".well-known/jwks.json").len();
    let before = fetched();
    let mut pending = Connection::open(app.address).await;
    let verify = app.get("/api/auth/verify").bearer(&tokens.access_token);
    pending.write(&verify.bytes(true)).await;
    eventually("the gateway fetches the key set", || async { fetched() > before }).await;

    let begun = Instant::now();
    app.stop_gateway();
    let took = begun.elapsed();
    let reply = pending.reply(false).await.expect("a response");
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(took < Duration::from_secs(4), "{took:?}");
}

#[tokio::test]
async fn a_stop_waits_no_longer_than_the_drain_timeout() {
    let app = start_app().await;
    let times = [("GATEWAY_UPSTREAM_TIMEOUT", "1h"), ("GATEWAY_DRAIN_TIMEOUT", "1500ms")];
    let gateway = GatewayProcess::start(&app, &times).await;
    let tokens = app.sign_up();
    app.inject_fault(json!({"operation": "logout", "kind": "hang"}));
    let mut pending = start_logout(&app, gateway.address, &tokens.access_token).await;
    let begun = Instant::now();
    gateway.signal("TERM");
    assert!(pending.reply(false).await.is_none(), "the connection is closed without a response");
    let (status, log) = gateway.wait_for_exit();
    let took = begun.elapsed();
    assert_eq!(status.code(), Some(0), "{}", log.text);
    assert!(took > Duration::from_secs(1) && took < TIMEOUT, "{took:?}");
    let aborted = "the drain timeout passed: open connections and logouts are aborted; raise \
                   GATEWAY_DRAIN_TIMEOUT if GoTrue needs more time";
    let line = log.lines.iter().find(|line| line["message"] == aborted);
    assert_eq!(line.expect("a log line")["logouts"], 1, "{}", log.text);
}

#[tokio::test]
async fn connections_without_a_request_delay_no_stop() {
    let app = TestApp::with_flags(&[("drain-timeout", "1h"), ("header-timeout", "1h")]).await;
    let mut silent = Connection::open(app.address).await;
    let mut half = Connection::open(app.address).await;
    half.write(b"POST /logout HTTP/1.1\r\nHost: a\r\n").await;
    // The gateway accepts connections in order, so once it answers this request it has also accepted the
    // silent and the unfinished connection.
    assert_eq!(app.get("/healthz").send().await.status, 200);
    let begun = Instant::now();
    app.stop_gateway();
    assert!(begun.elapsed() < TIMEOUT);
    assert!(silent.is_closed_by_peer().await && half.is_closed_by_peer().await);
}

#[tokio::test]
async fn connections_in_the_kernels_queue_are_served_before_the_stop() {
    let app = TestApp::new().await;
    let address = app.address;
    let request = app.get("/healthz").bytes(true);
    // When the gateway begins to stop, 50 connections wait in the kernel's queue. The gateway must reset none
    // of them.
    let mut waiting = Vec::new();
    for _ in 0..50 {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.write_all(&request).unwrap();
        waiting.push(stream);
    }
    app.stop_gateway();
    for mut stream in waiting {
        let mut answer = String::new();
        std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer:?}");
    }
}

#[rstest]
#[case::public("GATEWAY_BIND")]
#[case::admin_get("GATEWAY_ADMIN_BIND")]
#[tokio::test]
async fn a_port_in_use_ends_the_process_with_an_error_that_names_the_variable(
    #[case] variable: &str,
) {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_logout-gateway"));
    command.arg("serve").env_clear().env("SUPABASE_URL", "http://127.0.0.1:1");
    command.envs([("GATEWAY_BIND", "127.0.0.1:0"), ("GATEWAY_ADMIN_BIND", "off")]);
    let run = command.env(variable, &address).output().unwrap();
    assert_eq!(run.status.code(), Some(1));
    let log = String::from_utf8(run.stderr).unwrap();
    let line = log.lines().find(|line| line.contains(variable) && line.contains(&address));
    assert!(line.is_some(), "{log}");
    assert!(!log.contains("listening"), "{log}");
}

#[tokio::test]
async fn without_file_descriptors_the_gateway_pauses_and_then_accepts_again() {
    let app = start_app().await;
    let mut shell = Command::new("/bin/sh");
    let binary = env!("CARGO_BIN_EXE_logout-gateway");
    shell.args(["-c", r#"ulimit -n 48; exec "$0" "$@""#, binary]);
    let gateway =
        GatewayProcess::start_with_command(shell, &app, &[("GATEWAY_HEADER_TIMEOUT", "1h")]).await;
    let tokens = app.sign_up();
    assert_eq!(
        gateway.request("POST", "/logout").bearer(&tokens.access_token).send().await.status,
        200,
        "the connection to GoTrue stays open"
    );

    let mut crowd = Vec::new();
    for _ in 0..64 {
        crowd.push(Connection::open(gateway.address).await);
    }
    let descriptors = format!("/proc/{}/fd", gateway.pid());
    eventually("no descriptor is left", || {
        let taken = std::fs::read_dir(&descriptors).unwrap().count();
        async move { taken >= 48 }
    })
    .await;
    let mut late = Connection::open(gateway.address).await;
    late.write(&gateway.request("GET", "/healthz").bytes(true)).await;
    assert!(!late.has_unread_bytes().await, "no descriptor is left for the connection");
    drop(crowd);
    assert_eq!(late.reply(false).await.expect("a response").status, 200);
    let tokens = app.sign_up();
    let reply = gateway.request("POST", "/logout").bearer(&tokens.access_token).send().await;
    assert_eq!(reply.status, 200);
    assert!(!app.is_alive(&tokens));

    let log = gateway.stop();
    let lines_with =
        |words: &str| log.lines.iter().filter(|l| l.to_string().contains(words)).count();
    let of_variable = log.lines.iter().filter(|line| line["variable"] == "GATEWAY_MAX_CONNECTIONS");
    assert!(lines_with("needs") == 1 && of_variable.count() == 1, "{}", log.text);
    let tries = lines_with("could not accept a connection");
    assert!((1..100).contains(&tries), "the gateway pauses between tries: {tries}");
}

#[tokio::test]
async fn a_client_that_never_reads_is_disconnected() {
    let limits = [("max-connections", "1"), ("header-timeout", "300ms")];
    let app = Setup::new().flags(&limits).start().await;
    let mut greedy = Connection::open(app.address).await;
    // Send so many requests that their responses are far larger than the socket buffers of both sides.
    let requests = app.get("/openapi.json").bytes(false).repeat(64);
    let send_requests = async {
        for _ in 0..64 {
            greedy.write(&requests).await;
        }
    };
    // The gateway must stop reading requests as long as the client reads no responses.
    let late = tokio::time::timeout(TIMEOUT, app.get("/healthz").send());
    let (sent, reply) = tokio::join!(tokio::time::timeout(TIMEOUT, send_requests), late);
    assert!(sent.is_ok(), "the gateway closes the connection");
    assert_eq!(reply.expect("the only connection is free again").status, 200);
}

#[tokio::test]
async fn a_panic_of_a_thread_is_reported() {
    let clock = Clock::from_fn(|| {
        assert_ne!(std::thread::current().name(), Some("background"), "a clock that fails");
        std::time::UNIX_EPOCH
    });
    let config = Setup::new().flag("supabase-url", "http://127.0.0.1:1").config();
    let gateway = Gateway::start(config, clock, &Router::new()).unwrap();
    tokio::time::timeout(TIMEOUT, gateway.failed()).await.expect("the panic is reported");
    gateway.stop();
}
