//! 500 concurrent logouts while GoTrue does only 20 a second, as with its default configuration: the gateway
//! must still serve other requests, and its responses must be true.

use std::{
    collections::HashMap,
    net::SocketAddr,
    process::Command,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use logout_gateway::Clock;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};

use crate::harness::{
    BackgroundThread, Connection, GatewayProcess, Reply, Request, Setup, TestApp, assert_error,
    assert_success, eventually,
};

const LOGOUTS: usize = 500;
/// The time that GoTrue needs for each logout.
const TIME_PER_LOGOUT: Duration = Duration::from_millis(50);
const UPSTREAM_TIMEOUT: Duration = Duration::from_secs(2);
/// The time that the gateway may need for 500 logouts in a debug build on a busy machine.
const MARGIN: Duration = Duration::from_secs(20);
const ROUTE: &str = "/api/auth/logout";

/// A proxy in front of the mock that handles one request at a time, in the order of arrival. All other
/// requests wait to be accepted. The proxy skips a request whose client has disconnected.
struct SequentialGoTrue {
    address: SocketAddr,
    /// The number of times that each logout arrived, by its request id.
    seen: Arc<Mutex<HashMap<String, usize>>>,
    _thread: BackgroundThread,
}

impl SequentialGoTrue {
    fn start(app: &TestApp) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        let mock = app.mock.url().strip_prefix("http://").unwrap().parse().unwrap();
        let seen = Arc::default();
        let noted = Arc::clone(&seen);
        let thread = BackgroundThread::spawn(move || async move {
            // The kernel's queue must be long enough for all requests, so that none is refused.
            let listener = socket.listen(u32::try_from(4 * LOGOUTS).unwrap()).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                forward(stream, mock, &noted).await;
            }
        });
        Self { address, seen, _thread: thread }
    }

    /// Waits until the proxy has handled all requests that arrived before.
    async fn wait_until_caught_up(&self) {
        let reply = Request::new(self.address, "GET", "/auth/v1/health").send().await;
        assert_eq!(reply.status, 200);
    }
}

async fn forward(mut stream: TcpStream, mock: SocketAddr, seen: &Mutex<HashMap<String, usize>>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if !stream.read_buf(&mut request).await.is_ok_and(|length| length > 0) {
            return;
        }
    }
    let head = String::from_utf8(request).unwrap();
    if head.starts_with("POST /auth/v1/logout") {
        let id = head.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap();
        *seen.lock().unwrap().entry(id.to_owned()).or_default() += 1;
        let disconnected = stream.read_u8();
        if tokio::time::timeout(TIME_PER_LOGOUT, disconnected).await.is_ok() {
            return;
        }
    }
    let mut gotrue = TcpStream::connect(mock).await.unwrap();
    let head = head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    gotrue.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    gotrue.read_to_end(&mut answer).await.unwrap();
    let _ = stream.write_all(&answer).await;
}

/// Starts the gateway in its own process, so that this process needs file descriptors only for its own end of
/// 500 connections.
async fn start_gateway(app: &TestApp, gotrue: &SequentialGoTrue) -> GatewayProcess {
    let mut shell = Command::new("sh");
    // Each logout needs two connections, and many systems limit a process to 1024 files by default.
    let with_more_files = r#"ulimit -n 4096; exec "$0" "$@""#;
    shell.args(["-c", with_more_files, env!("CARGO_BIN_EXE_logout-gateway")]);
    let (url, budget) =
        (format!("http://{}/auth/v1", gotrue.address), format!("{UPSTREAM_TIMEOUT:?}"));
    let environment = [
        ("GOTRUE_URL", &*url),
        ("GATEWAY_UPSTREAM_TIMEOUT", &*budget),
        ("GATEWAY_ADMIN_BIND", "127.0.0.1:0"),
    ];
    GatewayProcess::start_with_command(shell, app, &environment).await
}

#[tokio::test]
async fn five_hundred_logouts_at_once_overload_a_slow_gotrue_and_not_the_gateway() {
    let app = Setup::new().start_time(Clock::system().unix_seconds()).start().await;
    let gotrue = SequentialGoTrue::start(&app);
    let gateway = start_gateway(&app, &gotrue).await;
    let other = app.sign_up();
    let verify = gateway.request("GET", "/api/auth/verify").bearer(&other.access_token);
    let has_key_set = || async { verify.clone().send().await.status == 200 };
    eventually("the gateway has the key set", has_key_set).await;

    let logouts: Vec<_> = (0..LOGOUTS)
        .map(|n| {
            let tokens = app.sign_up();
            let request = gateway.request("POST", ROUTE).bearer(&tokens.access_token);
            let request = request.header("X-Request-Id", format!("logout-{n}")).bytes(true);
            (tokens, tokio::spawn(send_for_single_reply(gateway.address, request)))
        })
        .collect();
    let probes = [
        verify,
        gateway.request("GET", "/api/auth/csrf").bearer(&other.access_token),
        gateway.request("GET", "/healthz"),
        Request::new(gateway.admin_address.unwrap(), "GET", "/healthz"),
    ];
    let are_running = || logouts.iter().any(|(_, reply)| !reply.is_finished());
    let mut rounds = 0;
    // Send probes until all logouts have a response.
    while are_running() {
        for probe in &probes {
            let begun = Instant::now();
            assert_eq!(probe.clone().send().await.status, 200, "{probe:?}");
            assert!(begun.elapsed() < MARGIN, "{:?}", begun.elapsed());
        }
        // Do not count a round of probes that ended after the last logout.
        rounds += usize::from(are_running());
    }
    assert!(rounds > 0, "the probes were answered only after the logouts");

    let mut timed_out = 0;
    for (tokens, reply) in logouts {
        let (reply, took) = reply.await.unwrap();
        assert!(took < UPSTREAM_TIMEOUT + MARGIN, "{took:?}");
        if reply.status == 200 {
            assert_success(&reply, ROUTE, tokens.user_id, "revoked");
            assert!(!app.is_alive(&tokens));
        } else {
            assert_error(&reply, 500, "LOGOUT_FAILED", Some("auth_service_timeout"));
            assert_eq!(reply.header("x-logout-outcome"), Some("failed"));
            timed_out += 1;
        }
    }
    println!("{timed_out} of {LOGOUTS} timed out");
    assert!(timed_out > 0, "the load was too low: no logout timed out");
    gotrue.wait_until_caught_up().await;
    let seen = gotrue.seen.lock().unwrap().clone();
    let repeated: Vec<_> = seen.iter().filter(|(_, times)| **times > 1).collect();
    assert!(repeated.is_empty(), "logouts that timed out were sent again: {repeated:?}");
    assert!(seen.len() + timed_out >= LOGOUTS, "a success without a request to GoTrue");

    assert!(app.is_alive(&other));
    let request = gateway.request("POST", ROUTE).bearer(&other.access_token);
    let reply = request.header("X-Request-Id", "after-the-load").send().await;
    assert_success(&reply, ROUTE, other.user_id, "revoked");
    assert!(!app.is_alive(&other));
}

/// Sends the request; returns the reply and the time that it took. Fails the test if the connection gets a
/// second reply.
async fn send_for_single_reply(gateway: SocketAddr, request: Vec<u8>) -> (Reply, Duration) {
    let begun = Instant::now();
    let mut connection = Connection::open(gateway).await;
    connection.write(&request).await;
    let reply = connection.reply(false).await.expect("a reply");
    let took = begun.elapsed();
    assert!(connection.is_closed_by_peer().await, "one reply and no more");
    (reply, took)
}
