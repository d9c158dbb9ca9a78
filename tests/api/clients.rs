//! Clients that hang up, are slow, send too much or speak another protocol must not harm the gateway.

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

const TIMEOUT: Duration = Duration::from_secs(20);

/// The bytes of a request with `rest` instead of the empty line that ends the request's head.
fn bytes_with_rest(request: &Request, rest: &str) -> Vec<u8> {
    let mut bytes = request.bytes(false);
    bytes.truncate(bytes.len() - 2);
    bytes.extend(rest.bytes());
    bytes
}

fn logout_request(app: &TestApp, tokens: &Tokens) -> Request {
    let request = app.post("/api/auth/logout").bearer(&tokens.access_token);
    request.header("Content-Type", "application/json")
}

/// The way in which a client ends its connection.
#[derive(Clone, Copy, Debug)]
enum Disconnect {
    Close,
    Reset,
}

impl Disconnect {
    const ALL: [Self; 2] = [Self::Close, Self::Reset];

    fn apply(self, connection: Connection) {
        match self {
            Self::Close => drop(connection),
            Self::Reset => connection.reset(),
        }
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_before_its_request_is_complete_ends_no_session() {
    let app = TestApp::new().await;
    for disconnect in Disconnect::ALL {
        for rest in ["", "\r\n{", "Transfer-Encoding: chunked\r\n\r\n5\r\n{"] {
            let tokens = app.sign_up();
            let length = if rest == "\r\n{" { "Content-Length: 10" } else { "X-Half: yes" };
            let mut connection = Connection::open(app.address).await;
            let bytes =
                bytes_with_rest(&logout_request(&app, &tokens), &format!("{length}\r\n{rest}"));
            connection.write(&bytes).await;
            disconnect.apply(connection);
            let other = app.sign_up();
            // One thread serves all connections in turn: once it has answered this logout, it has handled the
            // broken one.
            assert_eq!(logout_request(&app, &other).send().await.status, 200);
            assert!(!app.is_alive(&other));
            assert!(app.is_alive(&tokens), "{disconnect:?} {rest:?}");
            assert_eq!(app.verify(&tokens).await, 200);
        }
    }
    assert_eq!(app.gotrue_call_count(), 6, "only the complete request of each pair reached GoTrue");
}

#[tokio::test]
async fn a_client_that_hangs_up_during_the_revocation_or_before_the_response_is_logged_out() {
    let app = TestApp::new().await;
    for disconnect in Disconnect::ALL {
        let (tokens, other) = (app.sign_up(), app.sign_up());
        let fault = json!({"operation": "logout", "kind": "delay", "seconds": 1, "times": 1});
        app.inject_fault(fault);
        let before = app.gotrue_calls("logout").len();
        let mut connection = Connection::open(app.address).await;
        connection.write(&logout_request(&app, &tokens).bytes(false)).await;
        eventually("GoTrue gets the logout", || async {
            app.gotrue_calls("logout").len() > before
        })
        .await;
        assert!(app.is_alive(&tokens));
        disconnect.apply(connection);
        eventually("the session is dead", || async { !app.is_alive(&tokens) }).await;
        eventually("the session is on the revocation list", || async {
            app.verify(&tokens).await == 401
        })
        .await;

        let mut connection = Connection::open(app.address).await;
        connection.write(&logout_request(&app, &other).bytes(false)).await;
        eventually("the session is dead", || async { !app.is_alive(&other) }).await;
        disconnect.apply(connection);
        eventually("the session is on the revocation list", || async {
            app.verify(&other).await == 401
        })
        .await;
        assert_eq!(app.gotrue_calls("logout").len(), before + 2, "no logout is sent twice");
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_during_the_refresh_is_logged_out() {
    let app = TestApp::new().await;
    for disconnect in Disconnect::ALL {
        let tokens = app.sign_up();
        let browser = Browser::signed_in(&app, &tokens, CookieFormat::Base64).await;
        app.advance_time(3601);
        app.inject_fault(json!({"operation": "token", "kind": "delay", "seconds": 1, "times": 1}));
        let before = app.gotrue_calls("token").len();
        let mut connection = Connection::open(app.address).await;
        connection.write(&browser.logout_request("/api/auth/logout").bytes(false)).await;
        eventually("GoTrue gets the refresh", || async {
            app.gotrue_calls("token").len() > before
        })
        .await;
        assert!(app.is_alive(&tokens));
        disconnect.apply(connection);
        eventually("the session is dead", || async { !app.is_alive(&tokens) }).await;
        assert_eq!(app.gotrue_calls("token").len(), before + 1, "one refresh");
    }
}

#[tokio::test]
async fn a_client_that_closes_its_sending_side_still_gets_the_response() {
    let app = TestApp::new().await;
    let tokens = app.sign_up();
    app.inject_fault(json!({"operation": "logout", "kind": "delay", "seconds": 0.2, "times": 1}));
    let mut connection = Connection::open(app.address).await;
    connection.write(&logout_request(&app, &tokens).bytes(false)).await;
    connection.shutdown_write().await;
    let reply = connection.reply(false).await.expect("a response");
    assert_eq!((reply.status, reply.header("x-logout-outcome")), (200, Some("revoked")));
    assert!(!app.is_alive(&tokens));
    assert!(connection.is_closed_by_peer().await);
}

#[rstest]
#[case::head("POST /logout HTTP/1.1\r\n", "X-Slow: yes\r\n", None)]
#[case::body("", "{", Some(400))]
#[tokio::test]
async fn bytes_that_arrive_one_by_one_do_not_extend_the_timeout_of_a_request(
    #[case] head: &str,
    #[case] fragment: &str,
    #[case] status: Option<u16>,
) {
    let app = TestApp::with_flags(&[("header-timeout", "400ms")]).await;
    let tokens = app.sign_up();
    let mut connection = Connection::open(app.address).await;
    if head.is_empty() {
        let begun = bytes_with_rest(&logout_request(&app, &tokens), "Content-Length: 4000\r\n\r\n");
        connection.write(&begun).await;
    } else {
        connection.write(head.as_bytes()).await;
    }
    let send_slowly = async {
        while !connection.has_unread_bytes().await {
            connection.write(fragment.as_bytes()).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(TIMEOUT, send_slowly).await.expect("the gateway responds or closes");
    let reply = connection.reply(false).await;
    assert_eq!(reply.map(|reply| reply.status), status);
    assert!(app.is_alive(&tokens) && app.gotrue_call_count() == 0);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let app = TestApp::new().await;
    let tokens: Vec<Tokens> = (0..8).map(|_| app.sign_up()).collect();
    app.inject_fault(json!({"operation": "logout", "kind": "delay", "seconds": 0.2, "times": 1}));
    let requests = tokens.iter().enumerate().map(|(n, tokens)| {
        logout_request(&app, tokens).header("X-Request-Id", format!("nr-{n}")).bytes(false)
    });
    let mut connection = Connection::open(app.address).await;
    connection.write(&requests.collect::<Vec<_>>().concat()).await;
    for (n, tokens) in tokens.iter().enumerate() {
        let reply = connection.reply(false).await.expect("a response to each request");
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
        let request = logout_request(&app, &tokens).header("Expect", "100-continue");
        bytes_with_rest(&request, &format!("Content-Length: {length}\r\n\r\n"))
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
    let reply = logout_request(&app, &tokens).header("Expect", "100-continue").send().await;
    assert_eq!(reply.status, 200, "a request without a body needs no 100 Continue");
    assert!(!app.is_alive(&tokens));
}

/// The number of open file descriptors and the resident memory, in bytes, of the process `id`.
fn resource_usage(id: u32) -> (usize, usize) {
    let descriptors = std::fs::read_dir(format!("/proc/{id}/fd")).unwrap().count();
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    (descriptors, line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024)
}

#[tokio::test]
async fn ten_thousand_idle_connections_stay_within_the_limits_and_a_logout_succeeds_beside_them() {
    const MAX_CONNECTIONS: usize = 300;
    let crowd = rlimit::increase_nofile_limit(12_000).unwrap().saturating_sub(2000).min(10_000);
    assert!(
        crowd >= 2000,
        "raise the limit of open files: {crowd} connections are too few for this test"
    );
    let app = Setup::new().start_time(Clock::system().unix_seconds()).start().await;
    let environment = [
        ("GATEWAY_MAX_CONNECTIONS", MAX_CONNECTIONS.to_string()),
        ("GATEWAY_HEADER_TIMEOUT", "50ms".to_owned()),
    ];
    let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
    let gateway = GatewayProcess::start(&app, &environment).await;
    let (idle_descriptors, address, id) =
        (resource_usage(gateway.pid()).0, gateway.address, gateway.pid());
    let crowd: Vec<_> = (0..crowd)
        .map(|_| {
            tokio::spawn(async move {
                // The kernel refuses connections that exceed its queue, which is no failure of the gateway.
                if let Ok(stream) = tokio::net::TcpStream::connect(address).await {
                    let _ = stream.readable().await;
                }
            })
        })
        .collect();
    let tokens = app.sign_up();
    let request = gateway.request("POST", "/logout").bearer(&tokens.access_token);
    let logout = async {
        let mut connection = Connection::open(address).await;
        connection.write(&request.bytes(true)).await;
        connection.reply(false).await
    };
    let check_limits = async {
        loop {
            let (descriptors, memory) = resource_usage(id);
            assert!(
                descriptors <= idle_descriptors + MAX_CONNECTIONS + 16,
                "{descriptors} descriptors"
            );
            assert!(memory < 200 << 20, "{memory} bytes");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let reply = tokio::select! {
        reply = tokio::time::timeout(Duration::from_mins(1), logout) => reply,
        () = check_limits => unreachable!("this future never ends"),
    };
    assert_eq!(reply.expect("the logout gets its turn in time").expect("a response").status, 200);
    assert!(!app.is_alive(&tokens));
    for client in crowd {
        client.abort();
    }
    eventually("the gateway has closed the descriptors", || async {
        resource_usage(id).0 <= idle_descriptors + 4
    })
    .await;
    gateway.stop();
}
