//! `GET /` on the admin listener: one instance at a glance, for a person.
//!
//! 1. It always answers. What cannot be read is said, and the rest still shows.
//! 2. It needs no script and loads nothing; its policy forbids both.
//! 3. Whatever comes from a record is escaped, and no record that it reads holds a secret.

mod chart;
mod page;

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
    time::Duration,
};

use aws_lc_rs::digest::{SHA256, digest};
use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{Html, IntoResponse},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use tokio::join;

use super::admin;
use crate::{
    http::state::AppState,
    readiness::Missing,
    session::jwks::Algorithms,
    store::{Store, StoreError, failure::Failure},
    telemetry::metrics::last_hour::Tally,
};

const FAILURES_SHOWN: usize = 10;
/// Entries of the queue that are asked why they wait: each comes with its sealed credentials.
const ENTRIES_READ: usize = 20;

/// The page's own style and icon, and nothing else.
static CONTENT_SECURITY_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = STANDARD.encode(digest(&SHA256, page::STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// What the page shows.
struct Status {
    now: Timestamp,
    uptime: Duration,
    missing: Vec<Missing>,
    /// Since the last good fetch of the key set, or since the start.
    keys_age: Duration,
    /// Of the keys that may be used, if any may.
    algorithms: Option<Algorithms>,
    /// The one under way last.
    minutes: Vec<Tally>,
    /// Unless the store has no queue.
    waiting: Result<Option<Waiting>, StoreError>,
    /// Newest first.
    failures: Result<Vec<Failure>, StoreError>,
}

/// The queue at a glance.
struct Waiting {
    entries: usize,
    /// How long the oldest of them has waited.
    oldest: Duration,
    /// Why the next ones to be tried wait, and how many for each reason.
    reasons: BTreeMap<String, usize>,
}

pub(in crate::http) async fn status(State(app): State<Arc<AppState>>) -> impl IntoResponse {
    let store = &*app.logout.store;
    // At once: a store that does not answer is waited for only once.
    let (waiting, failures) = join!(waiting(&app, store), store.failures(FAILURES_SHOWN));
    for fault in [waiting.as_ref().err(), failures.as_ref().err()].into_iter().flatten() {
        admin::tell_unread(fault);
    }
    let status = Status {
        now: app.logout.clock.now_in_seconds(),
        uptime: app.started_at.elapsed(),
        missing: app.readiness.check(),
        keys_age: app.jwks.age(),
        algorithms: app.jwks.current().map(|keys| keys.algorithms()),
        minutes: app.metrics.last_hour.minutes(),
        waiting,
        failures,
    };
    let policy = (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY.clone());
    ([policy], Html(page::page(&status).into_string()))
}

async fn waiting(app: &AppState, store: &dyn Store) -> Result<Option<Waiting>, StoreError> {
    let Some(queue) = store.queue() else { return Ok(None) };
    let waiting = admin::waiting(queue, &app.logout.clock);
    let ((entries, oldest), next) = tokio::try_join!(waiting, queue.entries(ENTRIES_READ))?;
    let mut reasons = BTreeMap::new();
    for entry in next {
        *reasons.entry(entry.reason.to_string()).or_default() += 1;
    }
    Ok(Some(Waiting { entries, oldest, reasons }))
}
