//! How many octets one request may have in its head, in its chunk sizes and in the line breaks before it.

use std::time::Duration;

use tokio::time::timeout;

use crate::harness::{Connection, Reply, Setup, TestApp, assert_error};

const KIB: usize = 1024;
/// The longest time that a test waits for a response, longer than any response takes.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Starts a gateway whose timeouts for a head and a body are longer than the tests take.
async fn start_app_with_long_timeouts() -> TestApp {
    let setup = Setup::new().flag("header-timeout", "60s").flag("admin-bind", "127.0.0.1:0");
    setup.start().await
}

async fn reply(connection: &mut Connection) -> Reply {
    timeout(TIMEOUT, connection.reply(false)).await.expect("in time").expect("a reply")
}

async fn is_closed(connection: &mut Connection) -> bool {
    timeout(TIMEOUT, connection.is_closed_by_peer()).await.unwrap_or(false)
}

#[tokio::test]
async fn an_endless_chunk_size_is_read_up_to_the_size_limit_of_a_request() {
    let app = start_app_with_long_timeouts().await;
    let mut connection = Connection::open(app.address).await;
    let head = "POST /logout HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    connection.write(head.as_bytes()).await;
    connection.write(&vec![b'0'; (128 + 64) * KIB]).await;
    assert_error(&reply(&mut connection).await, 400, "BAD_REQUEST", Some("malformed_request"));
    assert!(is_closed(&mut connection).await);
}

#[tokio::test]
async fn line_breaks_before_a_request_end_the_connection_beyond_64_octets() {
    let app = start_app_with_long_timeouts().await;
    for address in [app.address, app.admin_address.unwrap()] {
        for requests_before in 0..2 {
            let mut connection = Connection::open(address).await;
            for _ in 0..requests_before {
                connection.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").await;
                reply(&mut connection).await;
            }
            connection.write(&b"\r\n".repeat(33)).await;
            assert!(is_closed(&mut connection).await, "{address} after {requests_before}");
        }
    }
}

#[tokio::test]
async fn a_request_within_every_limit_is_answered_each_time_on_one_connection() {
    let app = start_app_with_long_timeouts().await;
    let mut connection = Connection::open(app.address).await;
    let padding = "x".repeat(120 * KIB);
    for _ in 0..3 {
        connection.write(&b"\r\n".repeat(32)).await;
        let request = app.post("/logout").header("Transfer-Encoding", "chunked");
        let request = request.header("Content-Type", "application/json").header("X-Pad", &padding);
        connection.write(&request.bytes(false)).await;
        connection.write(&b"1\r\nx\r\n".repeat(8 * KIB)).await;
        connection.write(b"0\r\n\r\n").await;
        assert_error(&reply(&mut connection).await, 401, "NOT_AUTHENTICATED", Some("missing"));
    }
}

#[tokio::test]
async fn pipelined_requests_may_have_more_octets_together_than_one() {
    let app = start_app_with_long_timeouts().await;
    let mut connection = Connection::open(app.address).await;
    let request = app.get("/healthz").header("X-Pad", "x".repeat(20 * KIB)).bytes(false);
    connection.write(&request.repeat(40)).await;
    for _ in 0..40 {
        assert_eq!(reply(&mut connection).await.status, 200);
    }
}
