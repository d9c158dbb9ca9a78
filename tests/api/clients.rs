//! Clients at their worst: those that hang up, are slow, say too much, or speak another protocol.

mod framing;

use std::time::Duration;

use gotrue_mock::Tokens;
use logout_gateway::Clock;
use rstest::rstest;
use serde_json::json;

use crate::harness::{
    Browser, Connection, CookieFormat, GatewayProcess, Request, Setup, TestApp, assert_error,
    eventually,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// A logout's bytes up to the empty line, and these in its place.
fn head_and(request: &Request, rest: &str) -> Vec<u8> {
    let mut bytes = request.bytes(false);
    bytes.truncate(bytes.len() - 2);
    bytes.extend(rest.bytes());
    bytes
}

fn logout(app: &TestApp, tokens: &Tokens) -> Request {
    let request = app.post("/api/auth/logout").bearer(&tokens.access_token);
    request.header("Content-Type", "application/json")
}

/// How a client goes away.
#[derive(Clone, Copy, Debug)]
enum Leaving {
    Close,
    Reset,
}

impl Leaving {
    const ALL: [Self; 2] = [Self::Close, Self::Reset];

    fn of(self, connection: Connection) {
        match self {
            Self::Close => drop(connection),
            Self::Reset => connection.reset(),
        }
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_before_its_request_is_complete_ends_no_session() {
    let app = TestApp::new().await;
    for leaving in Leaving::ALL {
        for rest in ["", "\r\n{", "Transfer-Encoding: chunked\r\n\r\n5\r\n{"] {
            let tokens = app.sign_up();
            let length = if rest == "\r\n{" { "Content-Length: 10" } else { "X-Half: yes" };
            let mut connection = Connection::open(app.address).await;
            let bytes = head_and(&logout(&app, &tokens), &format!("{length}\r\n{rest}"));
            connection.write(&bytes).await;
            leaving.of(connection);
            let other = app.sign_up();
            // One thread serves all: what came before this is through with it.
            assert_eq!(logout(&app, &other).send().await.status, 200);
            assert!(!app.is_alive(&other));
            assert!(app.is_alive(&tokens), "{leaving:?} {rest:?}");
            assert_eq!(app.verify(&tokens).await, 200);
        }
    }
    assert_eq!(app.gotrue_call_count(), 6, "of each pair the whole one");
}

#[tokio::test]
async fn a_client_that_hangs_up_during_the_revocation_or_before_the_response_is_logged_out() {
    let app = TestApp::new().await;
    for leaving in Leaving::ALL {
        let (tokens, other) = (app.sign_up(), app.sign_up());
        let fault = json!({"operation": "logout", "kind": "delay", "seconds": 1, "times": 1});
        app.inject_fault(fault);
        let before = app.gotrue_calls("logout").len();
        let mut connection = Connection::open(app.address).await;
        connection.write(&logout(&app, &tokens).bytes(false)).await;
        eventually("GoTrue is asked", || async { app.gotrue_calls("logout").len() > before }).await;
        assert!(app.is_alive(&tokens));
        leaving.of(connection);
        eventually("the session is dead", || async { !app.is_alive(&tokens) }).await;
        eventually("and on the list", || async { app.verify(&tokens).await == 401 }).await;

        let mut connection = Connection::open(app.address).await;
        connection.write(&logout(&app, &other).bytes(false)).await;
        eventually("the session is dead", || async { !app.is_alive(&other) }).await;
        leaving.of(connection);
        eventually("and on the list", || async { app.verify(&other).await == 401 }).await;
        assert_eq!(app.gotrue_calls("logout").len(), before + 2, "nothing is sent twice");
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_during_the_refresh_is_logged_out() {
    let app = TestApp::new().await;
    for leaving in Leaving::ALL {
        let tokens = app.sign_up();
        let browser = Browser::signed_in(&app, &tokens, CookieFormat::Base64).await;
        app.advance_time(3601);
        app.inject_fault(json!({"operation": "token", "kind": "delay", "seconds": 1, "times": 1}));
        let before = app.gotrue_calls("token").len();
        let mut connection = Connection::open(app.address).await;
        connection.write(&browser.logout_request("/api/auth/logout").bytes(false)).await;
        eventually("it is refreshed", || async { app.gotrue_calls("token").len() > before }).await;
        assert!(app.is_alive(&tokens));
        leaving.of(connection);
        eventually("the session is dead", || async { !app.is_alive(&tokens) }).await;
        assert_eq!(app.gotrue_calls("token").len(), before + 1, "once");
    }
}

#[tokio::test]
async fn a_client_that_closes_its_sending_side_still_gets_the_response() {
    let app = TestApp::new().await;
    let tokens = app.sign_up();
    app.inject_fault(json!({"operation": "logout", "kind": "delay", "seconds": 0.2, "times": 1}));
    let mut connection = Connection::open(app.address).await;
    connection.write(&logout(&app, &tokens).bytes(false)).await;
    connection.shutdown_write().await;
    let reply = connection.reply(false).await.expect("an answer");
    assert_eq!((reply.status, reply.header("x-logout-outcome")), (200, Some("revoked")));
    assert!(!app.is_alive(&tokens));
    assert!(connection.is_closed_by_peer().await);
}

#[rstest]
#[case::head("POST /logout HTTP/1.1\r\n", "X-Slow: yes\r\n", None)]
#[case::body("", "{", Some(400))]
#[tokio::test]
async fn dripping_does_not_lengthen_the_time_that_is_given(
    #[case] head: &str,
    #[case] drop_by_drop: &str,
    #[case] status: Option<u16>,
) {
    let app = TestApp::with_flags(&[("header-timeout", "400ms")]).await;
    let tokens = app.sign_up();
    let mut connection = Connection::open(app.address).await;
    if head.is_empty() {
        let begun = head_and(&logout(&app, &tokens), "Content-Length: 4000\r\n\r\n");
        connection.write(&begun).await;
    } else {
        connection.write(head.as_bytes()).await;
    }
    let dripping = async {
        while !connection.has_unread_bytes().await {
            connection.write(drop_by_drop.as_bytes()).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, dripping).await.expect("it ends all the same");
    let reply = connection.reply(false).await;
    assert_eq!(reply.map(|reply| reply.status), status);
    assert!(app.is_alive(&tokens) && app.gotrue_call_count() == 0);
}

#[tokio::test]
async fn requests_sent_at_once_are_answered_in_order() {
    let app = TestApp::new().await;
    let tokens: Vec<Tokens> = (0..8).map(|_| app.sign_up()).collect();
    app.inject_fault(json!({"operation": "logout", "kind": "delay", "seconds": 0.2, "times": 1}));
    let requests = tokens.iter().enumerate().map(|(n, tokens)| {
        logout(&app, tokens).header("X-Request-Id", format!("nr-{n}")).bytes(false)
    });
    let mut connection = Connection::open(app.address).await;
    connection.write(&requests.collect::<Vec<_>>().concat()).await;
    for (n, tokens) in tokens.iter().enumerate() {
        let reply = connection.reply(false).await.expect("an answer to each");
        assert_eq!((reply.status, reply.header("x-request-id")), (200, Some(&*format!("nr-{n}"))));
        assert!(!app.is_alive(tokens));
    }
    assert_eq!(app.gotrue_calls("logout").len(), 8);
}

#[tokio::test]
async fn a_client_that_expects_100_continue_gets_it_unless_the_response_is_already_known() {
    let app = TestApp::new().await;
    let tokens = app.sign_up();
    let expecting = |length: usize| {
        let request = logout(&app, &tokens).header("Expect", "100-continue");
        head_and(&request, &format!("Content-Length: {length}\r\n\r\n"))
    };
    let mut connection = Connection::open(app.address).await;
    connection.write(&expecting(9000)).await;
    let reply = connection.reply(false).await.unwrap();
    assert_error(&reply, 413, "PAYLOAD_TOO_LARGE", None);
    assert!(app.is_alive(&tokens) && app.gotrue_call_count() == 0);

    let mut connection = Connection::open(app.address).await;
    connection.write(&expecting(2)).await;
    assert_eq!(connection.reply(true).await.unwrap().status, 100);
    connection.write(b"{}").await;
    assert_eq!(connection.reply(false).await.unwrap().status, 200);
    assert!(!app.is_alive(&tokens));

    let tokens = app.sign_up();
    let reply = logout(&app, &tokens).header("Expect", "100-continue").send().await;
    assert_eq!(reply.status, 200, "without a body there is nothing to wait for");
    assert!(!app.is_alive(&tokens));
}

/// Descriptors and bytes of memory that a process holds.
fn held(id: u32) -> (usize, usize) {
    let descriptors = std::fs::read_dir(format!("/proc/{id}/fd")).unwrap().count();
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    (descriptors, line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024)
}

#[tokio::test]
async fn ten_thousand_idle_connections_hold_no_more_than_is_allowed_and_pass() {
    const ALLOWED: usize = 300;
    let crowd = rlimit::increase_nofile_limit(12_000).unwrap().saturating_sub(2000).min(10_000);
    assert!(crowd >= 2000, "raise the limit of open files: {crowd} are no crowd");
    let app = Setup::new().start_time(Clock::system().unix_seconds()).start().await;
    let environment = [
        ("GATEWAY_MAX_CONNECTIONS", ALLOWED.to_string()),
        ("GATEWAY_HEADER_TIMEOUT", "50ms".to_owned()),
    ];
    let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
    let gateway = GatewayProcess::start(&app, &environment).await;
    let (idle, address, id) = (held(gateway.pid()).0, gateway.address, gateway.pid());
    let crowd: Vec<_> = (0..crowd)
        .map(|_| {
            tokio::spawn(async move {
                // Over what the kernel queues, some are refused.
                if let Ok(stream) = tokio::net::TcpStream::connect(address).await {
                    let _ = stream.readable().await;
                }
            })
        })
        .collect();
    let tokens = app.sign_up();
    let request = gateway.request("POST", "/logout").bearer(&tokens.access_token);
    let asking = async {
        let mut connection = Connection::open(address).await;
        connection.write(&request.bytes(true)).await;
        connection.reply(false).await
    };
    let watching = async {
        loop {
            let (descriptors, memory) = held(id);
            assert!(descriptors <= idle + ALLOWED + 16, "{descriptors} descriptors");
            assert!(memory < 200 << 20, "{memory} bytes");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let reply = tokio::select! {
        reply = tokio::time::timeout(Duration::from_mins(1), asking) => reply,
        () = watching => unreachable!("it watches for ever"),
    };
    assert_eq!(reply.expect("its turn comes").expect("an answer").status, 200);
    assert!(!app.is_alive(&tokens));
    for client in crowd {
        client.abort();
    }
    eventually("its descriptors are free again", || async { held(id).0 <= idle + 4 }).await;
    gateway.stop();
}
