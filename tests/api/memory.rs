//! How much memory one connection may make the gateway's process and the kernel hold.

use std::{fs, net::SocketAddr, time::Duration};

use tokio::time::timeout;

use crate::harness::{Connection, GatewayProcess, TestApp, eventually};

const KIB: usize = 1024;
const CONNECTIONS: usize = 200;
/// The most bytes that a connection without any content may use: its task, its timers and, in a debug build,
/// large futures.
const CONNECTION_OVERHEAD: usize = 64 * KIB;
/// The most bytes that a response which waits for its reader may use beyond those of an idle connection: its head, and
/// hyper's buffers. Each document is larger, so the test notices a copy of it for each response.
const RESPONSE_OVERHEAD: usize = 16 * KIB;
/// The most bytes of one connection that the kernel may hold: twice `SO_SNDBUF` or `SO_RCVBUF`, and one
/// segment of the loopback interface, because the kernel accepts a segment as long as a byte of the buffer is
/// free.
const SEND_BUFFER_LIMIT: usize = (32 + 64) * KIB;
const RECEIVE_BUFFER_LIMIT: usize = 64 * KIB;
/// The number of requests that a client sends without reading a response. No single response of the gateway fills
/// the buffers of both sockets; these fill them.
const PIPELINED: usize = 20;

/// The resident memory of the gateway, in bytes.
fn resident_bytes(gateway: &GatewayProcess) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", gateway.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * KIB
}

/// The bytes in the send queue and in the receive queue of each established connection of that listener, as
/// the kernel lists them in `/proc/net/tcp`.
fn socket_queues(listener: SocketAddr) -> Vec<(usize, usize)> {
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let port = format!(":{:04X}", listener.port());
    let rows = table.lines().skip(1).map(|row| row.split_whitespace().collect::<Vec<_>>());
    let established = rows.filter(|row| row[1].ends_with(&port) && row[3] == "01");
    let bytes = |text| usize::from_str_radix(text, 16).unwrap();
    established
        .map(|row| row[4].split_once(':').unwrap())
        .map(|(s, r)| (bytes(s), bytes(r)))
        .collect()
}

async fn start_gateway_with_long_timeouts(app: &TestApp) -> GatewayProcess {
    let times = [("GATEWAY_HEADER_TIMEOUT", "60s"), ("GATEWAY_UPSTREAM_TIMEOUT", "60s")];
    GatewayProcess::start(app, &times).await
}

async fn open_connections(gateway: &GatewayProcess, count: usize, bytes: &[u8]) -> Vec<Connection> {
    let mut connections = Vec::with_capacity(count);
    for _ in 0..count {
        let mut connection = Connection::open(gateway.address).await;
        connection.write(bytes).await;
        connections.push(connection);
    }
    connections
}

/// Opens connections on which one request was answered, and nothing more happens.
async fn open_idle_connections(gateway: &GatewayProcess) -> Vec<Connection> {
    let request = gateway.request("GET", "/healthz").bytes(false);
    let mut connections = open_connections(gateway, CONNECTIONS, &request).await;
    for connection in &mut connections {
        assert_eq!(connection.reply(false).await.unwrap().status, 200);
    }
    connections
}

#[tokio::test]
async fn a_client_that_does_not_read_uses_no_more_memory_than_the_send_buffer() {
    let app = TestApp::new().await;
    for path in ["/docs", "/openapi.json"] {
        // A new process for each document: a process keeps freed memory and would use it again.
        let gateway = start_gateway_with_long_timeouts(&app).await;
        let whole = gateway.request("GET", path).send().await;
        assert!(whole.status == 200 && PIPELINED * whole.body.len() > 3 * SEND_BUFFER_LIMIT);
        assert!(whole.body.len() > RESPONSE_OVERHEAD);
        let at_start = resident_bytes(&gateway);
        let _idle = open_idle_connections(&gateway).await;
        let before = resident_bytes(&gateway);
        let idle = before.saturating_sub(at_start) / CONNECTIONS;
        let requests = gateway.request("GET", path).bytes(false).repeat(PIPELINED);
        let mut connections = open_connections(&gateway, CONNECTIONS, &requests).await;
        let all_responses_wait = || async {
            let waiting =
                socket_queues(gateway.address).into_iter().filter(|(sent, _)| *sent > 0).count();
            waiting >= CONNECTIONS
        };
        eventually("every connection has a response that waits for its reader", all_responses_wait)
            .await;
        let most = socket_queues(gateway.address).into_iter().map(|(sent, _)| sent).max().unwrap();
        assert!(most <= SEND_BUFFER_LIMIT, "{path}: the kernel holds {most} bytes of one response");
        let held = resident_bytes(&gateway).saturating_sub(before) / CONNECTIONS;
        assert!(
            held <= idle + RESPONSE_OVERHEAD,
            "{path}: the process holds {held} bytes for each connection, and {idle} for an idle one"
        );
        let reader = &mut connections[0];
        for _ in 0..PIPELINED {
            let reply = reader.reply(false).await.unwrap();
            assert!(reply.body == whole.body, "{path}: a client that reads gets every response");
        }
    }
}

#[tokio::test]
async fn an_unfinished_head_uses_no_more_memory_than_the_limit_of_a_head() {
    let app = TestApp::new().await;
    let gateway = start_gateway_with_long_timeouts(&app).await;
    let unfinished = |length: usize| {
        let request = gateway.request("GET", "/api/auth/verify");
        let request = request.header("Cookie", "x".repeat(length)).bytes(false);
        request[..request.len() - 2].to_vec()
    };
    // The buffer of the HTTP library grows in steps, so the lengths include one just above and one just below
    // a step. The last length exceeds the limit of a head, so the gateway refuses its requests.
    for length in [70 * KIB, 125_000, 130_500, 300 * KIB] {
        let before = resident_bytes(&gateway);
        let connections = open_connections(&gateway, CONNECTIONS, &unfinished(length)).await;
        let all_heads_read = || async {
            let socket_queues = socket_queues(gateway.address);
            let refused = length > 128 * KIB;
            (refused || socket_queues.len() >= CONNECTIONS)
                && socket_queues.iter().all(|(_, received)| *received == 0)
        };
        eventually("every head is read", all_heads_read).await;
        let held = resident_bytes(&gateway).saturating_sub(before) / CONNECTIONS;
        assert!(
            held <= 128 * KIB + CONNECTION_OVERHEAD,
            "{length}: {held} bytes for each connection"
        );
        drop(connections);
    }
}

#[tokio::test]
async fn a_body_in_single_octets_uses_no_buffer_for_each_octet() {
    const PIECES: usize = 3_000;
    let app = TestApp::new().await;
    let gateway = start_gateway_with_long_timeouts(&app).await;
    let health = gateway.request("GET", "/healthz").bytes(false);
    let mut other = Connection::open(gateway.address).await;
    for (framing, piece) in
        [("Content-Length: 8192", &b"x"[..]), ("Transfer-Encoding: chunked", b"1\r\nx\r\n")]
    {
        let before = resident_bytes(&gateway);
        let begun = format!("POST /api/auth/logout HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n");
        let mut connections = open_connections(&gateway, 8, begun.as_bytes()).await;
        for _ in 0..PIECES {
            for connection in &mut connections {
                connection.write(piece).await;
            }
            // Wait for a response, so that the gateway reads each piece separately before the kernel joins it
            // with the next.
            other.write(&health).await;
            assert_eq!(other.reply(false).await.unwrap().status, 200);
        }
        let held = resident_bytes(&gateway).saturating_sub(before) / connections.len();
        assert!(held < KIB * KIB, "{framing}: {held} bytes for each connection");
    }
}

#[tokio::test]
async fn a_client_that_sends_without_reading_fills_no_more_than_the_receive_buffer() {
    let app = TestApp::new().await;
    let gateway = start_gateway_with_long_timeouts(&app).await;
    let mut connections = Vec::new();
    for _ in 0..10 {
        let mut connection = Connection::open(gateway.address).await;
        // Send large requests first, because the kernel enlarges a receive buffer that the gateway reads
        // quickly.
        let large = gateway.request("GET", "/healthz").header("X-Pad", "x".repeat(100 * KIB));
        for _ in 0..10 {
            connection.write(&large.bytes(false)).await;
            assert_eq!(connection.reply(false).await.unwrap().status, 200);
        }
        // The responses do not fit into the socket buffers. Until they are sent, the gateway must read nothing
        // more.
        let document = gateway.request("GET", "/docs").bytes(false);
        connection.write(&document.repeat(PIPELINED)).await;
        connections.push(connection);
    }
    let flood = vec![b'x'; 4 * KIB * KIB];
    for connection in &mut connections {
        let _ = timeout(Duration::from_millis(200), connection.write(&flood)).await;
    }
    let most =
        socket_queues(gateway.address).into_iter().map(|(_, received)| received).max().unwrap();
    assert!(
        most > 0 && most <= RECEIVE_BUFFER_LIMIT,
        "the kernel holds {most} bytes of one connection"
    );
}
