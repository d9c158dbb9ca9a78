//! Request framing: lengths, targets and hosts of a request that a proxy and the gateway might read
//! differently.

use rstest::rstest;

use super::{bytes_with_rest, logout_request};
use crate::harness::{Connection, TestApp, assert_error};

/// What the gateway must do with a request whose framing is ambiguous.
enum Expected {
    /// The gateway must respond 400 and close the connection.
    Refused,
    /// The gateway must do the logout, and must not read another request from the bytes that follow.
    Accepted,
}

/// After each request the connection has a logout of another session. The gateway must never run that logout.
#[rstest]
#[case::both_lengths(
    "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    Expected::Accepted
)]
#[case::both_lengths_the_other_way_round(
    "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    Expected::Accepted
)]
#[case::two_lengths("Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", Expected::Refused)]
#[case::list_of_lengths("Content-Length: 2, 2\r\n\r\n{}", Expected::Refused)]
#[case::signed_length("Content-Length: +2\r\n\r\n{}", Expected::Refused)]
#[case::negative_length("Content-Length: -2\r\n\r\n{}", Expected::Refused)]
#[case::hexadecimal_length("Content-Length: 0x2\r\n\r\n{}", Expected::Refused)]
#[case::endless_length("Content-Length: 18446744073709551616\r\n\r\n{}", Expected::Refused)]
#[case::empty_length("Content-Length: \r\n\r\n", Expected::Refused)]
#[case::space_before_the_colon("Content-Length : 2\r\n\r\n{}", Expected::Refused)]
#[case::another_coding("Transfer-Encoding: gzip\r\n\r\n", Expected::Refused)]
#[case::chunked_not_last("Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", Expected::Refused)]
#[case::folded_line("X-Folded: a\r\n b\r\n\r\n", Expected::Refused)]
#[case::nul("X-Nul: a\0b\r\n\r\n", Expected::Refused)]
#[case::bare_carriage_return("X-Return: a\rb\r\n\r\n", Expected::Refused)]
#[case::negative_chunk("Transfer-Encoding: chunked\r\n\r\n-1\r\n", Expected::Refused)]
#[case::endless_chunk("Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\n", Expected::Refused)]
#[tokio::test]
async fn no_ambiguous_length_smuggles_a_second_request(
    #[case] rest: &str,
    #[case] expected: Expected,
) {
    let app = TestApp::with_flags(&[("header-timeout", "1s")]).await;
    let (tokens, victim) = (app.sign_up(), app.sign_up());
    let smuggled = app.post("/logout").bearer(&victim.access_token).bytes(true);
    let mut connection = Connection::open(app.address).await;
    let mut bytes = bytes_with_rest(&logout_request(&app, &tokens), rest);
    bytes.extend(smuggled);
    connection.write(&bytes).await;
    let reply = connection.reply(false).await.expect("a response");
    let accepted = matches!(expected, Expected::Accepted);
    assert_eq!(reply.status, if accepted { 200 } else { 400 }, "{reply:?}");
    assert_eq!(app.is_alive(&tokens), !accepted);
    assert!(connection.reply(false).await.is_none(), "the connection ends");
    assert!(app.is_alive(&victim));
    assert_eq!(app.gotrue_call_count(), usize::from(accepted));
}

/// A request whose framing is unusual but has only one meaning must be accepted.
#[rstest]
#[case::same_length_twice("Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}")]
#[case::chunk_extension("Transfer-Encoding: chunked\r\n\r\n2;name=value\r\n{}\r\n0\r\n\r\n")]
#[case::trailer("Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX-Trailer: yes\r\n\r\n")]
#[case::leading_zeros("Content-Length: 002\r\n\r\n{}")]
#[tokio::test]
async fn a_body_of_an_unusual_but_unambiguous_form_is_read_to_its_end(#[case] rest: &str) {
    let app = TestApp::new().await;
    let (tokens, next) = (app.sign_up(), app.sign_up());
    let mut connection = Connection::open(app.address).await;
    let mut bytes = bytes_with_rest(&logout_request(&app, &tokens), rest);
    bytes.extend(app.post("/logout").bearer(&next.access_token).bytes(true));
    connection.write(&bytes).await;
    for tokens in [tokens, next] {
        assert_eq!(connection.reply(false).await.expect("a response").status, 200);
        assert!(!app.is_alive(&tokens));
    }
}

#[tokio::test]
async fn an_absolute_target_reaches_its_route_and_unusual_targets_are_404() {
    let app = TestApp::new().await;
    let tokens = app.sign_up();
    let target = "http://elsewhere.example/api/auth/logout?scope=local";
    let reply = app.request("POST", target).bearer(&tokens.access_token).send().await;
    assert_eq!(reply.status, 200);
    assert!(!app.is_alive(&tokens));
    let tokens = app.sign_up();
    for (method, target) in [
        ("OPTIONS", "*"),
        ("POST", "*"),
        ("POST", "http://elsewhere.example"),
        ("CONNECT", "elsewhere.example:443"),
        ("POST", "//logout"),
        ("POST", "/./logout"),
        ("POST", "/%6cogout"),
        ("POST", "/logout%2f"),
        ("POST", "/LOGOUT"),
    ] {
        let reply = app.request(method, target).bearer(&tokens.access_token).send().await;
        assert_error(&reply, 404, "NOT_FOUND", None);
    }
    assert!(app.is_alive(&tokens));
    assert_eq!(app.gotrue_call_count(), 1);
}

#[tokio::test]
async fn a_request_must_have_exactly_one_valid_host() {
    let app = TestApp::new().await;
    let tokens = app.sign_up();
    let logout_text = |lines: &str| {
        let authorization = format!("Authorization: Bearer {}\r\n", tokens.access_token);
        format!("POST /logout HTTP/1.1\r\n{lines}{authorization}Connection: close\r\n\r\n")
    };
    let own = format!("Host: {}\r\n", app.address);
    for lines in [
        "",
        &own.repeat(2),
        &format!("{own}Host: elsewhere.example\r\n"),
        "Host: a b\r\n",
        "Host: a, b\r\n",
        "Host: a/b\r\n",
        "Host: user@a\r\n",
        "Host: a:b:c\r\n",
    ] {
        let mut connection = Connection::open(app.address).await;
        connection.write(logout_text(lines).as_bytes()).await;
        let reply = connection.reply(false).await.expect("a response");
        assert_error(&reply, 400, "BAD_REQUEST", Some("malformed_request"));
        assert!(app.is_alive(&tokens) && app.gotrue_call_count() == 0, "{lines}");
    }
    let mut connection = Connection::open(app.address).await;
    connection.write(logout_text("Host:\r\n").as_bytes()).await;
    assert_eq!(
        connection.reply(false).await.expect("a response").status,
        200,
        "an empty host is valid (RFC 9112, section 3.2)"
    );
    assert!(!app.is_alive(&tokens));
}

#[tokio::test]
async fn an_http_1_0_connection_is_closed_unless_the_client_asks_for_keep_alive() {
    let app = TestApp::new().await;
    let (first, second) = (app.sign_up(), app.sign_up());
    let logout_text = |token: &str, line: &str| {
        format!("POST /logout HTTP/1.0\r\nAuthorization: Bearer {token}\r\n{line}\r\n")
    };
    let mut connection = Connection::open(app.address).await;
    connection
        .write(logout_text(&first.access_token, "Connection: keep-alive\r\n").as_bytes())
        .await;
    assert_eq!(connection.reply(false).await.unwrap().status, 200);
    connection.write(logout_text(&second.access_token, "").as_bytes()).await;
    assert_eq!(connection.reply(false).await.unwrap().status, 200);
    assert!(connection.is_closed_by_peer().await);
    assert!(!app.is_alive(&first) && !app.is_alive(&second));
}

#[tokio::test]
async fn another_protocol_closes_the_connection_and_harms_no_other_client() {
    let app = TestApp::with_flags(&[("header-timeout", "1s")]).await;
    let tls: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    for (bytes, expected_status) in [
        (tls, Some(400)),
        (b"GET /healthz\r\n\r\n", Some(400)),
        (b"GET /healthz HTTP/3.0\r\n\r\n", Some(400)),
        (b"get me this\r\n\r\n", Some(400)),
        (b"\0\0\0\0\0\0\0\0\r\n\r\n", Some(400)),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Some(400)),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET /healthz HTTP/1.1\r\n\r\n", Some(400)),
    ] {
        let mut connection = Connection::open(app.address).await;
        connection.write(bytes).await;
        let reply = connection.reply(false).await;
        let status = reply.as_ref().map(|reply| reply.status);
        assert_eq!(status, expected_status, "{}", String::from_utf8_lossy(bytes));
        assert!(
            reply.is_none_or(|reply| reply.body.is_empty() && reply.header("server").is_none())
        );
        assert!(connection.is_closed_by_peer().await);
    }
    assert_eq!(app.get("/healthz").send().await.status, 200);
}
