//! The routes for operators, on the admin listener alone: the queue, the failure log and the metrics.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, Uri, header},
    response::IntoResponse,
};
use serde::Serialize;
use tokio::try_join;

use crate::{
    clock::{Clock, elapsed},
    http::{error::Error, state::AppState},
    readiness::Part,
    store::{
        FAILURES_KEPT, Queue, StoreError, entry::queued_logout::QueuedLogout, failure::FailedLogout,
    },
    telemetry::metrics::Now,
};

/// The media type of Prometheus' text format.
const TEXT_FORMAT: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
const MOST_ENTRIES: usize = 1000;

/// The body of `GET /queue`.
#[derive(Serialize)]
pub(in crate::http) struct QueueReport {
    /// The number of entries in the queue. `entries` may list fewer.
    waiting: usize,
    /// The entries, ordered by the time of their next retry.
    entries: Vec<QueuedLogout>,
}

/// The body of `GET /failures`.
#[derive(Serialize)]
pub(in crate::http) struct FailureReport {
    /// The records of the failure log, newest first.
    failures: Vec<FailedLogout>,
}

/// `GET /metrics`. If the store does not answer, the gauges of the queue keep their last values, and
/// `store_errors_total` counts the error.
pub(in crate::http) async fn metrics(State(app): State<Arc<AppState>>) -> impl IntoResponse {
    let store = &app.logout.store;
    let queued = match store.queue() {
        None => Some((0, Duration::ZERO)),
        Some(queue) => waiting(queue, &app.logout.clock).await.ok(),
    };
    let exposition = app.metrics.exposition(Now {
        revocations: store.list().count(),
        queued,
        jwks_age: app.jwks.age(),
        in_flight: app.in_flight.taken(),
    });
    ([(header::CONTENT_TYPE, TEXT_FORMAT)], exposition)
}

/// The number of entries in the queue, and how long the oldest of them has waited.
pub(super) async fn waiting(
    queue: &dyn Queue,
    clock: &Clock,
) -> Result<(usize, Duration), StoreError> {
    let (waiting, oldest) = try_join!(queue.len(), queue.oldest())?;
    let waited = oldest.map_or(Duration::ZERO, |queued_at| elapsed(queued_at, clock.now()));
    Ok((waiting, waited))
}

pub(in crate::http) async fn queue(
    State(app): State<Arc<AppState>>,
    uri: Uri,
) -> Result<Json<QueueReport>, Error> {
    let most = limit(&uri, MOST_ENTRIES)?;
    let Some(queue) = app.logout.store.queue() else {
        return Ok(Json(QueueReport { waiting: 0, entries: Vec::new() }));
    };
    let entries = queue.entries(most).await.map_err(store_not_ready)?;
    let waiting = queue.len().await.map_err(store_not_ready)?;
    Ok(Json(QueueReport { waiting, entries: entries.into_iter().map(QueuedLogout).collect() }))
}

pub(in crate::http) async fn failures(
    State(app): State<Arc<AppState>>,
    uri: Uri,
) -> Result<Json<FailureReport>, Error> {
    let most = limit(&uri, FAILURES_KEPT)?;
    let failures = app.logout.store.failures(most).await.map_err(store_not_ready)?;
    Ok(Json(FailureReport { failures: failures.into_iter().map(FailedLogout).collect() }))
}

/// The value of the query's `limit`, but at most `most`.
fn limit(uri: &Uri, most: usize) -> Result<usize, Error> {
    let mut pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    match pairs.find(|(name, _)| name == "limit") {
        None => Ok(most),
        Some((_, limit)) => {
            limit.parse().map(|limit: usize| limit.min(most)).map_err(|_| Error::MalformedRequest)
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "`map_err` passes the error by value")]
fn store_not_ready(cause: StoreError) -> Error {
    log_unreadable(&cause);
    Error::NotReady(Part::Store)
}

pub(super) fn log_unreadable(cause: &StoreError) {
    tracing::warn!(%cause, "the store cannot be read, so a page of the admin listener lacks data: check GATEWAY_STORE");
}
