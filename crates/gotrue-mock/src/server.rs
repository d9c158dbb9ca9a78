//! Serves connections: keeps the call log, applies faults, and adds the headers of every response.
//!
//! hyper drives a connection until a fault breaks it. The service then returns a
//! [`ConnectionError`], hyper gives the socket back, and the mock applies the fault to the socket
//! itself.

use std::{
    convert::Infallible, error::Error, future::poll_fn, pin::pin, sync::Arc, time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    http::{
        HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
        header::{ALLOW, DATE, ORIGIN},
    },
};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tower::ServiceExt;

use crate::{
    cors,
    error::{ApiVersion, GotrueError},
    fallback::Fallback,
    faults::{self, ConnectionError, Fault, FaultKind},
    mock::Mock,
    request::bad_json,
    worlds::{Destination, World, Worlds},
};

/// The largest body of a request, in bytes. The answer to a larger one has status 413.
const BODY_LIMIT: usize = 1 << 20;

/// Serves `mock` on `listener` until `shutdown` completes, then closes the open connections without
/// waiting for their responses.
pub async fn serve(listener: TcpListener, mock: Mock, shutdown: impl Future<Output = ()>) {
    let worlds = Arc::new(Worlds::new(mock));
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve_connection(stream, Arc::clone(&worlds)));
                }
                // The process has probably no file descriptors left: retry after some connections
                // have closed.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
        }
    }
    connections.shutdown().await;
}

async fn serve_connection(stream: TcpStream, worlds: Arc<Worlds>) {
    // `TCP_NODELAY` only saves latency: ignore an error.
    let _ = stream.set_nodelay(true);
    let peer = stream.peer_addr().ok().map(ConnectInfo);
    let service = service_fn(move |mut request: Request<Incoming>| {
        if let Some(peer) = peer {
            request.extensions_mut().insert(peer);
        }
        Box::pin(answer(Arc::clone(&worlds), request))
    });
    let mut http = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    let result = poll_fn(|context| http.poll_without_shutdown(context)).await;
    let stream = http.into_parts().io.into_inner();
    let error = result.as_ref().err().and_then(Error::source);
    close(stream, error.and_then(<dyn Error>::downcast_ref)).await;
}

/// Ends a connection in the way that a fault requires. Errors are ignored, because the client may
/// have closed the connection already.
async fn close(mut stream: TcpStream, error: Option<&ConnectionError>) {
    match error {
        Some(ConnectionError::Reset) => {
            let _ = stream.set_zero_linger();
        }
        Some(ConnectionError::CloseAfter(bytes)) => {
            let _ = stream.write_all(bytes).await;
            let _ = stream.shutdown().await;
        }
        None => {
            let _ = stream.shutdown().await;
        }
    }
}

/// Answers a request in its world.
async fn answer(
    worlds: Arc<Worlds>,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, ConnectionError> {
    match worlds.destination(request.method(), request.uri()) {
        Destination::World(world, uri) => {
            *request.uri_mut() = uri;
            answer_in(world, request).await
        }
        Destination::Answered(mut response) => {
            if let Some(preflight) = cors::preflight(&request, worlds.settings()) {
                return Ok(preflight);
            }
            cors::add_headers(response.headers_mut(), request.headers().contains_key(ORIGIN));
            Ok(response)
        }
    }
}

/// Answers a request, and adds the headers of every response.
async fn answer_in(
    world: World,
    request: Request<Incoming>,
) -> Result<Response<Body>, ConnectionError> {
    let mock = world.mock.clone();
    let path = request.uri().path();
    if let Some(fallback) = mock.fallback().filter(|_| Fallback::is_for(path)) {
        return Ok(pass_on(&mock, fallback, request).await);
    }
    if let Some(preflight) = cors::preflight(&request, mock.settings()) {
        return Ok(preflight);
    }
    let has_origin = request.headers().contains_key(ORIGIN);
    let version = ApiVersion::from_headers(request.headers());
    let (head, body) = request.into_parts();
    let mut response = match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(body) => {
            let request = Request::from_parts(head, body.to_bytes());
            handle(world, request, version).await?
        }
        Err(error) if error.is::<LengthLimitError>() => {
            GotrueError::payload_too_large(BODY_LIMIT).to_response(version)
        }
        Err(_) => bad_json("the body is not complete").to_response(version),
    };
    let headers = response.headers_mut();
    cors::add_headers(headers, has_origin);
    // Send the mock's time, unless a fault has set a `Date`: hyper would send the system's time.
    if let Ok(date) = HeaderValue::from_str(&httpdate::fmt_http_date(mock.now())) {
        headers.entry(DATE).or_insert(date);
    }
    Ok(response)
}

/// Logs a request, and lets a fault act on it.
async fn handle(
    World { mock, router }: World,
    request: Request<Bytes>,
    version: ApiVersion,
) -> Result<Response<Body>, ConnectionError> {
    let (head, body) = request.into_parts();
    let is_control = is_control(head.uri.path());
    let is_read = head.method == Method::GET;
    let call = (!is_control).then(|| mock.record_call(&head, &body));
    let fault = mock.take_fault(head.uri.path());
    let mut response = respond(router, Request::from_parts(head, body), fault, version).await?;
    if let Some(error) = response.extensions_mut().remove::<GotrueError>() {
        response = error.to_response(version);
    }
    if let Some(call) = call {
        mock.record_status(call, response.status());
    } else if !is_read {
        mock.announce_change();
    }
    Ok(response)
}

/// Whether a path belongs to the page or to the control endpoints. The call log leaves them out.
fn is_control(path: &str) -> bool {
    path == "/" || path.starts_with("/mock/")
}

/// Passes a request on to another server. The call log has it without its body.
async fn pass_on(mock: &Mock, fallback: &Fallback, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let call = mock.record_call(&head, &[]);
    let response = fallback.answer(Request::from_parts(head, body)).await;
    mock.record_status(call, response.status());
    response
}

/// Routes a request to its handler, or answers it as a fault requires.
async fn respond(
    router: Router,
    request: Request<Bytes>,
    fault: Option<Fault>,
    version: ApiVersion,
) -> Result<Response<Body>, ConnectionError> {
    let Some(fault) = fault else {
        return Ok(route(router, request).await);
    };
    if let FaultKind::Delay { by } = fault.kind {
        tokio::time::sleep(by).await;
        return Ok(route(router, request).await);
    }
    if fault.effect {
        route(router, request).await;
    }
    match fault.kind {
        FaultKind::Status(response) => Ok(response.into_response(version)),
        FaultKind::Redirect { location } => Ok(faults::redirect(&location)),
        FaultKind::Oversize => Ok(faults::oversize()),
        FaultKind::Delay { .. } | FaultKind::Hang => std::future::pending().await,
        FaultKind::Reset => Err(ConnectionError::Reset),
        FaultKind::Truncate => Err(ConnectionError::CloseAfter(faults::TRUNCATED)),
        FaultKind::Garbage => Err(ConnectionError::CloseAfter(faults::GARBAGE)),
    }
}

/// Routes a request to its handler.
async fn route(router: Router, mut request: Request<Bytes>) -> Response<Body> {
    // GoTrue has no handler for HEAD (recorded: `verify-link-head`), and axum answers it like GET. Route it as TRACE,
    // for which no path has a handler.
    if request.method() == Method::HEAD {
        *request.method_mut() = Method::TRACE;
    }
    let result: Result<_, Infallible> = router.oneshot(request.map(Body::from)).await;
    let Ok(mut response) = result;
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        sort_allowed_methods(response.headers_mut());
    } else {
        // axum adds `Allow` to the answers of fallbacks, too; GoTrue does not.
        response.headers_mut().remove(ALLOW);
    }
    response
}

/// Writes `Allow` as GoTrue does: without HEAD, sorted, with blanks.
fn sort_allowed_methods(headers: &mut HeaderMap) {
    let Some(Ok(allowed)) = headers.get(ALLOW).map(HeaderValue::to_str) else { return };
    let mut methods: Vec<_> =
        allowed.split(',').map(str::trim).filter(|method| *method != "HEAD").collect();
    methods.sort_unstable();
    if let Ok(methods) = HeaderValue::from_str(&methods.join(", ")) {
        headers.insert(ALLOW, methods);
    }
}
