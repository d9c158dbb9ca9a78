//! Listeners on unix sockets: the socket's file, the requests of its clients, and proxies on the same machine.

mod files;
mod proxies;

use std::{
    io::{Read as _, Write as _},
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    path::{Path, PathBuf},
};

use logout_gateway::{Clock, ListenAddress};
use rstest::rstest;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{GatewayProcess, Reply, Request, Setup, TestApp, assert_success, eventually};

/// A test app, and a folder for sockets.
struct Machine {
    app: TestApp,
    folder: TempDir,
}

impl Machine {
    /// The app runs on the system's clock, because the real binary runs on it.
    async fn new() -> Self {
        let app = Setup::new().start_time(Clock::system().unix_seconds()).start().await;
        Self { app, folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts the binary with its public listener on the unix socket `public`.
    async fn start(&self, environment: &[(&str, &str)]) -> GatewayProcess {
        let bind = address(&self.path("public"));
        let environment = [&[("GATEWAY_BIND", &*bind)], environment].concat();
        GatewayProcess::start(&self.app, &environment).await
    }
}

/// The value of `GATEWAY_BIND` for a unix socket.
fn address(path: &Path) -> String {
    format!("unix:{}", path.display())
}

/// The permission bits of a file.
fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[rstest]
#[case::default(&[], 0o660)]
#[case::the_owner_alone(&[("GATEWAY_SOCKET_MODE", "600")], 0o600)]
#[case::more_than_the_umask_leaves(&[("GATEWAY_SOCKET_MODE", "0666")], 0o666)]
#[tokio::test]
async fn a_unix_socket_serves_logouts_by_all_threads_and_has_its_permissions(
    #[case] environment: &[(&str, &str)],
    #[case] expected: u32,
) {
    let machine = Machine::new().await;
    let app = &machine.app;
    let gateway = machine.start(&[environment, &[("GATEWAY_THREADS", "2")]].concat()).await;
    assert_eq!(gateway.listen_address, ListenAddress::Unix(machine.path("public")));
    assert_eq!(mode(&machine.path("public")), expected);
    for _ in 0..8 {
        let tokens = app.sign_up();
        let request = |method, path| gateway.request(method, path).bearer(&tokens.access_token);
        assert_eq!(request("GET", "/api/auth/verify").send().await.status, 200);
        let reply = request("POST", "/api/auth/logout").send().await;
        assert_success(&reply, "/api/auth/logout", tokens.user_id, "revoked");
        assert!(!app.is_alive(&tokens));
        assert_eq!(request("GET", "/api/auth/verify").send().await.status, 401);
    }
    gateway.stop();
}

#[tokio::test]
async fn the_admin_listener_can_be_a_unix_socket_too() {
    let machine = Machine::new().await;
    let (public, admin) = (machine.path("public"), machine.path("admin"));
    let gateway = machine.start(&[("GATEWAY_ADMIN_BIND", &address(&admin))]).await;
    let send = async |path: &Path, target: &str| {
        Request::to(ListenAddress::Unix(path.into()), "GET", target).send().await.status
    };
    assert_eq!((send(&admin, "/metrics").await, send(&public, "/metrics").await), (200, 404));
    assert_eq!(mode(&admin), 0o660);
    gateway.stop();
    assert!(!public.exists() && !admin.exists());
}

#[tokio::test]
async fn the_kernel_holds_only_a_part_of_the_responses_that_a_client_does_not_read() {
    // No single response of the gateway fills the buffer of a socket, so request several at once.
    const PIPELINED: usize = 20;

    let machine = Machine::new().await;
    let limits = [("GATEWAY_MAX_CONNECTIONS", "1"), ("GATEWAY_HEADER_TIMEOUT", "1s")];
    let gateway = machine.start(&limits).await;
    let page = gateway.request("GET", "/docs");
    assert!(PIPELINED * page.clone().send().await.body.len() > 256 * 1024);
    let mut slow = UnixStream::connect(machine.path("public")).unwrap();
    slow.write_all(&page.bytes(false).repeat(PIPELINED)).unwrap();
    // The gateway serves this connection once it has given up the slow one.
    assert_eq!(gateway.request("GET", "/healthz").send().await.status, 200);
    let mut held = Vec::new();
    slow.read_to_end(&mut held).unwrap();
    assert!((1..64 * 1024).contains(&held.len()), "{} bytes", held.len());
}

/// The audit line of a logout that has the header lines `lines`, the response, and the headers that GoTrue received.
async fn logout(machine: &Machine, lines: &[(&str, &str)]) -> (Value, Reply, Value) {
    let gateway = machine.start(&[]).await;
    let tokens = machine.app.sign_up();
    let request = gateway.request("POST", "/api/auth/logout").bearer(&tokens.access_token);
    let reply = request.headers(lines).send().await;
    assert_success(&reply, "/api/auth/logout", tokens.user_id, "revoked");
    let log = gateway.stop();
    let line = log.audit_line(reply.header("x-request-id").unwrap()).clone();
    let call = machine.app.gotrue_calls("logout").pop().unwrap();
    (line, reply, serde_json::to_value(call).unwrap()["headers"].clone())
}

#[tokio::test]
async fn the_peer_of_a_unix_socket_is_a_trusted_proxy() {
    let machine = Machine::new().await;
    let lines = [
        ("X-Forwarded-For", "6.6.6.6, 192.0.2.1"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "app.example.com"),
        ("Origin", "https://app.example.com"),
    ];
    let (line, reply, received) = logout(&machine, &lines).await;
    assert_eq!(line["client"], "192.0.2.1");
    assert_eq!(received["x-forwarded-for"], json!(["192.0.2.1"]));
    assert!(reply.header("strict-transport-security").is_some());
    assert!(reply.set_cookies().iter().all(|cookie| cookie.contains("; Secure")), "{reply:?}");
}

#[tokio::test]
async fn the_address_of_a_client_that_no_proxy_names_is_unknown() {
    let machine = Machine::new().await;
    let (line, reply, received) = logout(&machine, &[]).await;
    assert_eq!(line["client"], "unknown");
    assert!(received.get("x-request-id").is_some());
    for name in ["x-forwarded-for", "sb-forwarded-for"] {
        assert_eq!(
            received.get(name),
            None,
            "GoTrue gets no address that the gateway does not know"
        );
    }
    assert_eq!(reply.header("strict-transport-security"), None);
}

#[tokio::test]
async fn a_queued_logout_of_an_unknown_address_is_retried_without_an_address() {
    let machine = Machine::new().await;
    let app = &machine.app;
    let store = format!("file:{}", machine.path("store").display());
    let gateway = machine.start(&[("GATEWAY_STORE", &store)]).await;
    let tokens = app.sign_up();
    app.inject_fault(json!({"operation": "logout", "kind": "status", "status": 503, "times": 2}));
    let request = gateway.request("POST", "/api/auth/logout").bearer(&tokens.access_token);
    assert_eq!(request.send().await.status, 202);
    eventually("the retry", || async { !app.is_alive(&tokens) }).await;
    let retry = serde_json::to_value(app.gotrue_calls("logout").pop().unwrap()).unwrap();
    assert_eq!(retry["headers"].get("x-forwarded-for"), None, "{retry}");
}
