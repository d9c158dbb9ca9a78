//! `GET /` on the admin listener: an HTML page with the state of this instance.
//!
//! 1. The status is always 200. If the store cannot be read, the page says so and shows the rest.
//! 2. The page has no script and loads nothing: its Content-Security-Policy forbids both.
//! 3. The page escapes every value of a record. The records on it hold no secret.

mod chart;
mod page;

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
    time::Duration,
};

use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{Html, IntoResponse},
};
use jiff::Timestamp;
use tokio::join;

use super::{admin, page_policy};
use crate::{
    http::state::AppState,
    readiness::Missing,
    session::jwks::Algorithms,
    store::{Store, StoreError, failure::Failure},
    telemetry::metrics::last_hour::Tally,
};

const FAILURES_SHOWN: usize = 10;
/// The number of queue entries whose reasons are counted. Few, because the store returns each entry with its
/// sealed credentials.
const ENTRIES_READ: usize = 20;

/// Allows the page's own style and icon, and nothing else.
static CONTENT_SECURITY_POLICY: LazyLock<HeaderValue> =
    LazyLock::new(|| page_policy::allowing(page::STYLE));

/// The data of the page.
struct Status {
    now: Timestamp,
    uptime: Duration,
    missing: Vec<Missing>,
    /// The time since the last successful fetch of the key set, or since the start if there was none.
    keys_age: Duration,
    /// The number of usable keys for each algorithm. `None` while there is no key set.
    algorithms: Option<Algorithms>,
    /// The numbers of logouts by outcome, minute by minute. The current minute is the last.
    minutes: Vec<Tally>,
    /// The summary of the queue; `None` if the store has no queue.
    waiting: Result<Option<Waiting>, StoreError>,
    /// The last failures, newest first.
    failures: Result<Vec<Failure>, StoreError>,
}

/// A summary of the queue.
struct Waiting {
    entries: usize,
    /// How long the oldest entry has waited.
    oldest: Duration,
    /// The reasons of the entries that are retried next, and the number of entries with each.
    reasons: BTreeMap<String, usize>,
}

pub(in crate::http) async fn status(State(app): State<Arc<AppState>>) -> impl IntoResponse {
    let store = &*app.logout.store;
    // Read both at once, so that a store that does not answer delays the page by one timeout only.
    let (waiting, failures) = join!(waiting(&app, store), store.failures(FAILURES_SHOWN));
    for cause in [waiting.as_ref().err(), failures.as_ref().err()].into_iter().flatten() {
        admin::log_unreadable(cause);
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
