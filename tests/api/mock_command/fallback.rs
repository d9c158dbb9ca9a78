//! `--fallback`: the requests that the mock passes on to another server.

use std::{
    net::{SocketAddr, TcpListener as StdListener},
    sync::{Arc, Mutex},
    time::UNIX_EPOCH,
};

use axum::{
    Router,
    body::Body,
    extract::{Request as Received, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{any, options},
};
use gotrue_mock::{Mock, Options};
use rstest::rstest;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_util::task::AbortOnDropHandle;

use super::running_project::RunningProject;
use crate::harness::Request;

/// The requests that the target received: method, path with query, and headers.
type Log = Arc<Mutex<Vec<(String, String, HeaderMap)>>>;

/// A mock, which stops when this is dropped.
struct RunningMock {
    mock: Mock,
    _server: AbortOnDropHandle<()>,
}

/// A server, and a mock that passes requests on to it.
struct Project {
    log: Log,
    target: SocketAddr,
    mock: RunningMock,
    _target: AbortOnDropHandle<()>,
}

impl Project {
    async fn start() -> Self {
        let log = Log::default();
        let router = Router::new()
            .route("/rest/v1/echo", any(echo))
            .route("/rest/v1/created", any(created))
            .route("/rest/v1/cors", options(with_cors).get(with_cors))
            .fallback(async || (StatusCode::NOT_FOUND, "no table"))
            .layer(axum::middleware::from_fn_with_state(Arc::clone(&log), record));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = listener.local_addr().unwrap();
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { log, target, mock: mock_for(target).await, _target: AbortOnDropHandle::new(server) }
    }

    fn request(&self, method: &str, target: &str) -> Request {
        Request::new(address_of(&self.mock), method, target)
    }

    /// The only request that the target received.
    fn received(&self) -> (String, String, HeaderMap) {
        let log = self.log.lock().unwrap();
        assert_eq!(log.len(), 1);
        log[0].clone()
    }
}

fn address_of(mock: &RunningMock) -> SocketAddr {
    mock.mock.url().strip_prefix("http://").unwrap().parse().unwrap()
}

async fn mock_for(target: SocketAddr) -> RunningMock {
    let fallback = Some(format!("http://{target}").parse().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = Options { fallback, ..Options::default() };
    let mock = Mock::new(options, listener.local_addr().unwrap(), || UNIX_EPOCH).unwrap();
    let server = gotrue_mock::serve(listener, mock.clone(), std::future::pending());
    RunningMock { mock, _server: AbortOnDropHandle::new(tokio::spawn(server)) }
}

async fn record(
    State(log): State<Log>,
    request: Received,
    next: axum::middleware::Next,
) -> Response {
    let target = request.uri().to_string();
    let entry = (request.method().to_string(), target, request.headers().clone());
    log.lock().unwrap().push(entry);
    next.run(request).await
}

async fn echo(request: Received) -> Body {
    request.into_body()
}

async fn created() -> Response {
    let headers = [("content-range", "0-1/2"), ("keep-alive", "timeout=5"), ("x-own", "1")];
    (StatusCode::CREATED, headers, "rows").into_response()
}

async fn with_cors() -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "https://app.example.com"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET"),
    ];
    (headers, "rows").into_response()
}

#[tokio::test]
async fn a_request_is_passed_on_and_its_answer_back() {
    let project = Project::start().await;
    let request = project.request("PATCH", "/rest/v1/created?select=a%2Cb&x=%20");
    let request = request.header("Authorization", "Bearer x").header("Prefer", "count=exact");
    let request =
        request.header("Keep-Alive", "1").header("Connection", "X-Hop").header("X-Hop", "1");
    let reply = request.body("{}").send().await;
    assert_eq!((reply.status, reply.text().as_str()), (201, "rows"));
    assert_eq!(reply.header("content-range"), Some("0-1/2"));
    assert_eq!(reply.header("x-own"), Some("1"));
    assert_eq!(reply.header("keep-alive"), None);

    let (method, target, headers) = project.received();
    assert_eq!((&*method, &*target), ("PATCH", "/rest/v1/created?select=a%2Cb&x=%20"));
    assert_eq!(headers["host"], project.target.to_string());
    assert_eq!(
        (&headers["authorization"], &headers["prefer"]),
        (&"Bearer x".parse().unwrap(), &"count=exact".parse().unwrap())
    );
    for name in ["keep-alive", "connection", "x-hop", "transfer-encoding"] {
        assert!(!headers.contains_key(name), "{name}");
    }
}

#[rstest]
#[case("/auth/v1/health")]
#[case("/auth/v1/nothing")]
#[case("/mock/users/none")]
#[case("/mock")]
#[case("/")]
#[tokio::test]
async fn the_paths_of_the_mock_are_not_passed_on(#[case] path: &str) {
    let project = Project::start().await;
    assert_ne!(project.request("GET", path).send().await.text(), "no table");
    assert!(project.log.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_world_passes_requests_on_without_its_name_and_has_them_in_its_own_log() {
    let project = Project::start().await;
    let reply = project.request("GET", "/mock/worlds/w/rest/v1/created?a=b").send().await;
    assert_eq!((reply.status, reply.text().as_str()), (201, "rows"));
    assert_eq!(project.received().1, "/rest/v1/created?a=b");
    let calls = project.request("GET", "/mock/worlds/w/mock/calls").send().await.json();
    assert_eq!((&calls[0]["path"], &calls[0]["status"]), (&"/rest/v1/created".into(), &201.into()));
    assert!(project.mock.mock.calls().is_empty());
}

#[tokio::test]
async fn bodies_over_the_limit_of_gotrue_are_passed_on() {
    let project = Project::start().await;
    let body = "x".repeat(3 << 20);
    let reply = project.request("POST", "/rest/v1/echo").body(body.as_str()).send().await;
    assert_eq!(reply.status, 200);
    assert!(reply.text() == body);
}

#[tokio::test]
async fn bodies_are_streamed_in_both_directions() {
    let project = Project::start().await;
    let mut stream = TcpStream::connect(address_of(&project.mock)).await.unwrap();
    let head = "POST /rest/v1/echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(format!("{head}5\r\nfirst\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !String::from_utf8_lossy(&answer).contains("first") {
        assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0);
    }
    stream.write_all(b"6\r\nsecond\r\n0\r\n\r\n").await.unwrap();
    while !String::from_utf8_lossy(&answer).contains("second") {
        assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn the_call_log_has_the_request_without_its_body() {
    let project = Project::start().await;
    project.request("POST", "/rest/v1/echo?a=b").body("row").send().await;
    let calls = project.mock.mock.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!((&*calls[0].path, &*calls[0].query, &*calls[0].body), ("/rest/v1/echo", "a=b", ""));
}

#[tokio::test]
async fn a_target_that_cannot_be_reached_is_a_bad_gateway_that_a_page_can_read() {
    let closed = StdListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mock = mock_for(closed).await;
    let request = Request::new(address_of(&mock), "GET", "/rest/v1/todos");
    let reply = request.header("Origin", "http://localhost:3000").send().await;
    assert_eq!(reply.status, 502);
    assert!(reply.json()["message"].as_str().unwrap().contains("the fallback server"));
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
}

#[tokio::test]
async fn a_websocket_is_refused_with_a_reason() {
    let project = Project::start().await;
    let request = project.request("GET", "/realtime/v1/websocket");
    let request = request.header("Connection", "Upgrade").header("Upgrade", "WebSocket");
    let reply = request.send().await;
    assert_eq!(reply.status, 501);
    assert!(reply.json()["message"].as_str().unwrap().contains("WebSocket"));
    assert!(project.log.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_page_can_call_a_target_that_has_no_cors_headers() {
    let project = Project::start().await;
    let preflight =
        project.request("OPTIONS", "/rest/v1/created").header("Origin", "http://localhost:3000");
    let preflight = preflight.header("Access-Control-Request-Method", "HEAD");
    let preflight = preflight.header("Access-Control-Request-Headers", "apikey,prefer");
    let preflight = preflight.send().await;
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-allow-origin"), Some("*"));
    assert_eq!(preflight.header("access-control-allow-methods"), Some("HEAD"));
    assert_eq!(preflight.header("access-control-allow-headers"), Some("apikey,prefer"));
    let request =
        project.request("GET", "/rest/v1/created").header("Origin", "http://localhost:3000");
    let reply = request.send().await;
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (201, Some("*")));
    assert_eq!(reply.header("access-control-expose-headers"), Some("*"));
    let without_page = project.request("GET", "/rest/v1/created").send().await;
    assert_eq!(without_page.header("access-control-allow-origin"), None);
}

#[rstest]
#[case("OPTIONS")]
#[case("GET")]
#[tokio::test]
async fn the_cors_headers_of_the_target_are_left_alone(#[case] method: &str) {
    let project = Project::start().await;
    let request = project.request(method, "/rest/v1/cors").header("Origin", "https://evil.example");
    let reply = request.header("Access-Control-Request-Method", "DELETE").send().await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header_values("access-control-allow-origin"), ["https://app.example.com"]);
    assert_eq!(reply.header("access-control-allow-methods"), Some("GET"));
    assert_eq!(reply.header("access-control-expose-headers"), None);
}

#[tokio::test]
async fn the_flag_takes_a_base_url_with_a_path() {
    let target = Project::start().await;
    let base = format!("http://{}/rest/", target.target);
    let project = RunningProject::start(&["--fallback", &base]);
    let reply = project.request("GET", "/v1/created?a").send().await;
    assert_eq!(reply.status, 201);
    assert_eq!(target.received().1, "/rest/v1/created?a");
}
