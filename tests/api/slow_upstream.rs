//! A GoTrue that manages 20 logouts a second, as a stock one does, and 500 logouts at once: the gateway
//! stays upright and truthful.

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
const FOR_EACH: Duration = Duration::from_millis(50);
const BUDGET: Duration = Duration::from_secs(2);
/// For 500 logouts in a debug build on a machine that has other things to do.
const MARGIN: Duration = Duration::from_secs(20);
const ROUTE: &str = "/api/auth/logout";

/// One call at a time, first come, first served; all others wait to be accepted. A caller who has given
/// up is passed over.
struct OneAtATime {
    address: SocketAddr,
    /// How often each logout came, by its request id.
    seen: Arc<Mutex<HashMap<String, usize>>>,
    _thread: BackgroundThread,
}

impl OneAtATime {
    fn before(app: &TestApp) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        let mock = app.mock.url().strip_prefix("http://").unwrap().parse().unwrap();
        let seen = Arc::default();
        let noted = Arc::clone(&seen);
        let thread = BackgroundThread::spawn(move || async move {
            // Nobody who waits is turned away.
            let listener = socket.listen(u32::try_from(4 * LOGOUTS).unwrap()).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                serve(stream, mock, &noted).await;
            }
        });
        Self { address, seen, _thread: thread }
    }

    /// Until all that came before has been seen.
    async fn caught_up(&self) {
        let reply = Request::new(self.address, "GET", "/auth/v1/health").send().await;
        assert_eq!(reply.status, 200);
    }
}

async fn serve(mut stream: TcpStream, mock: SocketAddr, seen: &Mutex<HashMap<String, usize>>) {
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
        let given_up = stream.read_u8();
        if tokio::time::timeout(FOR_EACH, given_up).await.is_ok() {
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

/// The gateway in a process of its own: what 500 logouts hold open is not held here as well.
async fn gateway(app: &TestApp, gotrue: &OneAtATime) -> GatewayProcess {
    let mut shell = Command::new("sh");
    // A connection in and one out for each; many systems allow a process 1024 files to begin with.
    let raised = r#"ulimit -n 4096; exec "$0" "$@""#;
    shell.args(["-c", raised, env!("CARGO_BIN_EXE_logout-gateway")]);
    let (url, budget) = (format!("http://{}/auth/v1", gotrue.address), format!("{BUDGET:?}"));
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
    let gotrue = OneAtATime::before(&app);
    let gateway = gateway(&app, &gotrue).await;
    let other = app.sign_up();
    let verify = gateway.request("GET", "/api/auth/verify").bearer(&other.access_token);
    let known = || async { verify.clone().send().await.status == 200 };
    eventually("it has the keys", known).await;

    let storm: Vec<_> = (0..LOGOUTS)
        .map(|n| {
            let tokens = app.sign_up();
            let request = gateway.request("POST", ROUTE).bearer(&tokens.access_token);
            let request = request.header("X-Request-Id", format!("logout-{n}")).bytes(true);
            (tokens, tokio::spawn(only_reply(gateway.address, request)))
        })
        .collect();
    let probes = [
        verify,
        gateway.request("GET", "/api/auth/csrf").bearer(&other.access_token),
        gateway.request("GET", "/healthz"),
        Request::new(gateway.admin_address.unwrap(), "GET", "/healthz"),
    ];
    let blows = || storm.iter().any(|(_, reply)| !reply.is_finished());
    let mut rounds = 0;
    // To the storm's end.
    while blows() {
        for probe in &probes {
            let begun = Instant::now();
            assert_eq!(probe.clone().send().await.status, 200, "{probe:?}");
            assert!(begun.elapsed() < MARGIN, "{:?}", begun.elapsed());
        }
        // An answer that came only when the storm was over counts for nothing.
        rounds += usize::from(blows());
    }
    assert!(rounds > 0, "they waited for the storm to end");

    let mut timed_out = 0;
    for (tokens, reply) in storm {
        let (reply, took) = reply.await.unwrap();
        assert!(took < BUDGET + MARGIN, "{took:?}");
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
    assert!(timed_out > 0, "it was no storm");
    gotrue.caught_up().await;
    let seen = gotrue.seen.lock().unwrap().clone();
    let again: Vec<_> = seen.iter().filter(|(_, times)| **times > 1).collect();
    assert!(again.is_empty(), "what timed out was tried again: {again:?}");
    assert!(seen.len() + timed_out >= LOGOUTS, "a success that GoTrue never heard of");

    assert!(app.is_alive(&other));
    let request = gateway.request("POST", ROUTE).bearer(&other.access_token);
    let reply = request.header("X-Request-Id", "after-the-storm").send().await;
    assert_success(&reply, ROUTE, other.user_id, "revoked");
    assert!(!app.is_alive(&other));
}

/// The reply and how long it took; another one on the same connection fails the test.
async fn only_reply(gateway: SocketAddr, request: Vec<u8>) -> (Reply, Duration) {
    let begun = Instant::now();
    let mut connection = Connection::open(gateway).await;
    connection.write(&request).await;
    let reply = connection.reply(false).await.expect("a reply");
    let took = begun.elapsed();
    assert!(connection.is_closed_by_peer().await, "one reply and no more");
    (reply, took)
}
