//! A proxy that requires a password is the only way to GoTrue. [`crate::networks`] tests one without a password.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use gotrue_mock::TEST_SECRET;
use rstest::rstest;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

use super::{BROWSER_URL, private_ca::PrivateTls, start_gotrue};
use crate::{
    check::{CheckOutput, check},
    harness::{GatewayProcess, assert_error, assert_success},
};

const PASSWORD: &str = "the-password-of-the-proxy";
/// `user:<PASSWORD>` in Base64, as the header `Proxy-Authorization` has it (RFC 7617).
const CREDENTIALS: &str = "dXNlcjp0aGUtcGFzc3dvcmQtb2YtdGhlLXByb3h5";

/// An HTTP proxy that connects only clients that send [`CREDENTIALS`].
struct Proxy {
    address: SocketAddr,
    /// The first line of each request.
    requests: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(answer(client, seen.clone()));
            }
        });
        Self { address, requests }
    }

    fn url(&self, password: &str) -> String {
        format!("http://user:{password}@{}", self.address)
    }

    /// Takes the first lines of the requests since the last call.
    fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut *self.requests.lock().unwrap())
    }
}

/// Answers one request: connects the client to the server that CONNECT names, or refuses it.
async fn answer(mut client: TcpStream, requests: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(octet) = client.read_u8().await else { return };
        head.push(octet);
    }
    let head = String::from_utf8(head).unwrap();
    let first = head.lines().next().unwrap();
    requests.lock().unwrap().push(first.to_owned());
    let mut headers = head.lines().filter_map(|line| line.split_once(": "));
    let is_admitted = headers.any(|(name, value)| {
        name.eq_ignore_ascii_case("proxy-authorization") && value == format!("Basic {CREDENTIALS}")
    });
    if !is_admitted {
        let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\
                       Proxy-Authenticate: Basic realm=\"proxy\"\r\nConnection: close\r\n\r\n";
        let _ = client.write_all(refusal.as_bytes()).await;
        return;
    }
    let server = first.strip_prefix("CONNECT ").unwrap().split(' ').next().unwrap();
    let mut server = TcpStream::connect(server).await.unwrap();
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
    let _ = copy_bidirectional(&mut client, &mut server).await;
}

/// Runs `check` on another thread, because this one serves the proxy.
async fn check_through_proxy(environment: &[(&str, &str)]) -> CheckOutput {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let environment: Vec<_> = environment.iter().map(own).collect();
    let checking = move || {
        let environment: Vec<_> =
            environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        check(&[&environment[..], &[("SUPABASE_JWT_SECRET", TEST_SECRET)]].concat())
    };
    tokio::task::spawn_blocking(checking).await.unwrap()
}

#[tokio::test]
async fn https_goes_through_the_egress_proxy_by_connect_and_with_its_password() {
    let app = start_gotrue().await;
    let (tls, proxy) = (PrivateTls::start(&app).await, Proxy::start().await);
    let (gotrue, authority, proxy_url) = (tls.gotrue_url(), tls.authority(), proxy.url(PASSWORD));
    let environment = [
        ("SUPABASE_URL", BROWSER_URL),
        ("GOTRUE_URL", &gotrue),
        ("SSL_CERT_FILE", &authority),
        ("GATEWAY_EGRESS_PROXY", &proxy_url),
        // Nothing may use this one, and with an egress proxy of the gateway no warning is due.
        ("HTTPS_PROXY", "http://127.0.0.1:1"),
    ];
    let only_connects = |requests: Vec<String>| {
        let connect = format!("CONNECT {} HTTP/1.1", tls.server.address);
        !requests.is_empty() && requests.iter().all(|request| *request == connect)
    };
    let checked = check_through_proxy(&environment).await;
    assert_eq!(checked.status, Some(0), "{:?} {}", checked.lines, checked.stderr);
    assert_eq!(checked.warnings(), ["GATEWAY_STORE"], "{:?}", checked.lines);
    assert!(only_connects(proxy.take_requests()));

    let gateway = GatewayProcess::start(&app, &environment).await;
    let tokens = app.sign_up();
    let reply = gateway.request("POST", "/logout").bearer(&tokens.access_token).send().await;
    assert_success(&reply, "/logout", tokens.user_id, "revoked");
    assert!(!app.is_alive(&tokens));
    assert!(only_connects(proxy.take_requests()));
    let log = gateway.stop();
    assert!(!log.lines.iter().any(|line| line["variable"] == "HTTPS_PROXY"), "{}", log.text);
    for secret in [PASSWORD, CREDENTIALS] {
        assert!(!log.text.contains(secret) && !checked.lines.concat().contains(secret));
    }
}

#[rstest]
#[case::http("http://gotrue.invalid/auth/v1", "auth_service_error")]
#[case::https("https://gotrue.invalid/auth/v1", "auth_service_unavailable")]
#[tokio::test]
async fn if_the_proxy_refuses_the_password_check_and_the_log_name_the_variable(
    #[case] gotrue: &str,
    #[case] reason: &str,
) {
    const WRONG: &str = "a-wrong-password-of-the-proxy";
    const ADVICE: &str = "check the user and the password in GATEWAY_EGRESS_PROXY";
    let app = start_gotrue().await;
    let proxy = Proxy::start().await;
    let proxy_url = proxy.url(WRONG);
    let environment = [
        ("SUPABASE_URL", BROWSER_URL),
        ("GOTRUE_URL", gotrue),
        ("GATEWAY_EGRESS_PROXY", &proxy_url),
    ];
    let checked = check_through_proxy(&environment).await;
    assert_eq!(checked.status, Some(1), "{:?}", checked.lines);
    let line = checked.line("GoTrue");
    assert!(line.starts_with("FAILED: ") && line.ends_with(ADVICE), "{line}");

    let gateway = GatewayProcess::start(&app, &environment).await;
    let tokens = app.sign_up();
    let reply = gateway.request("POST", "/logout").bearer(&tokens.access_token).send().await;
    assert_error(&reply, 500, "LOGOUT_FAILED", Some(reason));
    assert!(app.is_alive(&tokens));
    let log = gateway.stop();
    let is_warning = |line: &&Value| line["operation"] == "logout" && line["level"] == "WARN";
    let line = log.lines.iter().find(is_warning).unwrap().to_string();
    assert!(line.contains(ADVICE), "{line}");
    for output in [log.text, checked.lines.concat(), checked.stderr] {
        assert!(!output.contains(WRONG), "{output}");
    }
}
