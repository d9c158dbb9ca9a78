//! The mock as a server.
//!
//! Each connection is hyper's until a fault breaks it: the service then fails instead of answering,
//! hyper hands the socket back, and what the fault asks for happens on the socket itself.

use std::{convert::Infallible, error::Error, future::poll_fn, pin::pin, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{HeaderValue, Request, Response, StatusCode, header::DATE, header::ORIGIN},
    response::IntoResponse,
};
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tower::ServiceExt;

use super::{
    Mock,
    calls::Call,
    control, cors,
    error::{ApiVersion, GotrueError},
    faults::{self, Broken, Fault, Kind, Operation},
    gotrue,
};

/// The most that a request's body may be.
const BODY_LIMIT: usize = 1 << 20;

/// Answers connections until `shutdown` is done, then drops those that are left: nobody waits for a
/// mock.
pub async fn serve(listener: TcpListener, mock: Mock, shutdown: impl Future<Output = ()>) {
    let routes = Router::new()
        .nest("/auth/v1", gotrue::routes())
        .nest("/mock", control::routes())
        .fallback(gotrue::not_found)
        .with_state(mock.clone());
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, mock.clone(), routes.clone()));
                }
                // Out of file descriptors, most likely: try again when some have been closed.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
        }
    }
    connections.shutdown().await;
}

async fn connection(stream: TcpStream, mock: Mock, routes: Router) {
    // Best effort: without it answers come a little later.
    let _ = stream.set_nodelay(true);
    let service =
        service_fn(move |request| Box::pin(answer(mock.clone(), routes.clone(), request)));
    let mut http = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    let ended = poll_fn(|context| http.poll_without_shutdown(context)).await;
    let stream = http.into_parts().io.into_inner();
    let broken = ended.as_ref().err().and_then(Error::source).and_then(<dyn Error>::downcast_ref);
    finish(stream, broken.copied()).await;
}

/// The client may be gone already: whatever fails here, the connection is over.
async fn finish(mut stream: TcpStream, broken: Option<Broken>) {
    match broken {
        Some(Broken::Reset) => {
            let _ = stream.set_zero_linger();
        }
        Some(Broken::Octets(octets)) => {
            let _ = stream.write_all(octets).await;
            let _ = stream.shutdown().await;
        }
        None => {
            let _ = stream.shutdown().await;
        }
    }
}

/// One request: logged, judged by the faults, answered.
async fn answer(
    mock: Mock,
    routes: Router,
    request: Request<Incoming>,
) -> Result<Response<Body>, Broken> {
    let has_origin = request.headers().contains_key(ORIGIN);
    let version = ApiVersion::of(request.headers());
    if let Some(preflight) = cors::preflight(request.method(), request.headers()) {
        return Ok(preflight);
    }
    let (head, body) = request.into_parts();
    let mut response = match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(body) => {
            let body = body.to_bytes();
            if !head.uri.path().starts_with("/mock/") {
                mock.record(Call::of(&head, &body));
            }
            let fault = Operation::at(head.uri.path()).and_then(|operation| mock.strike(operation));
            let request = Request::from_parts(head, body);
            respond(routes, request, fault, version).await?
        }
        Err(_) => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
    };
    if let Some(error) = response.extensions_mut().remove::<GotrueError>() {
        response = error.render(version);
    }
    let headers = response.headers_mut();
    cors::expose(headers, has_origin);
    // hyper would ask the system's clock. A fault may tell another time.
    if let Ok(date) = HeaderValue::from_str(&httpdate::fmt_http_date(mock.clock().now())) {
        headers.entry(DATE).or_insert(date);
    }
    Ok(response)
}

async fn respond(
    routes: Router,
    request: Request<Bytes>,
    fault: Option<Fault>,
    version: ApiVersion,
) -> Result<Response<Body>, Broken> {
    let route = |request: Request<Bytes>| async {
        let answered: Result<_, Infallible> = routes.oneshot(request.map(Body::from)).await;
        let Ok(response) = answered;
        response
    };
    let Some(fault) = fault else {
        return Ok(route(request).await);
    };
    if let Kind::Delay { by } = fault.kind {
        tokio::time::sleep(by).await;
        return Ok(route(request).await);
    }
    if fault.effect {
        route(request).await;
    }
    match fault.kind {
        Kind::Status(answer) => Ok(answer.respond(version)),
        Kind::Redirect { location } => Ok(faults::redirect(&location)),
        Kind::Oversize => Ok(faults::oversize()),
        Kind::Delay { .. } | Kind::Hang => std::future::pending().await,
        Kind::Reset => Err(Broken::Reset),
        Kind::Truncate => Err(Broken::Octets(faults::TRUNCATED)),
        Kind::Garbage => Err(Broken::Octets(faults::GARBAGE)),
    }
}
