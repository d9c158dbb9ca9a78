//! The background thread: it fetches the key set, runs the store's own tasks, retries queued logouts, writes
//! the failure log, checks readiness, updates metrics, and serves the admin listener.

mod clock_jump;
mod project_keys;
mod startup_warnings;

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::Semaphore,
    time::{Instant, MissedTickBehavior, interval, interval_at, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use self::clock_jump::ClockJumpDetector;
use crate::{
    failure_log::FailureWriter,
    gotrue,
    http::{
        router, routes,
        server::{self, listener::Listener},
        state::AppState,
    },
    logout::{self, Logout},
    queue_worker::Worker,
};

/// The most connections of the admin listener. They are counted apart from `GATEWAY_MAX_CONNECTIONS`, so that
/// clients of the public listener cannot block the admin listener.
const ADMIN_CONNECTIONS: usize = 64;
const MINUTE: Duration = Duration::from_mins(1);
const CHECK_EVERY: Duration = Duration::from_secs(1);
const PURGE_EVERY: Duration = MINUTE;
/// The time limit for writing the last entries of the failure log while the gateway stops.
const LAST_FAILURES_TIMEOUT: Duration = Duration::from_secs(2);

/// Runs all background tasks until `stop` is cancelled, then writes the last entries of the failure log.
pub(super) async fn run(
    admin: Option<Listener>,
    app: Arc<AppState>,
    mut unwritten: FailureWriter,
    stop: CancellationToken,
) {
    let store = app.logout.store.clone();
    let admin = async {
        if let Some(listener) = admin {
            let connections = Arc::new(Semaphore::new(ADMIN_CONNECTIONS));
            let (routes, limits) = (router::admin(app.clone()), &app.config.limits);
            server::run(listener, routes, limits, connections, stop.clone()).await;
        }
        stop.cancelled().await;
    };
    tokio::select! {
        // When the gateway stops, the worker finishes the retries that it has started.
        ((), ()) = async { tokio::join!(admin, work_queue(&app)) } => {}
        () = project_keys::keep_fetching(&app) => {}
        () = purge_expired(&app) => {}
        () = check_readiness(&app) => {}
        () = count_minutes(&app) => {}
        () = startup_warnings::warn(&app) => {}
        () = store.run() => {}
        () = unwritten.write_all(&*store) => {}
    }
    unwritten.close();
    report_omitted_lines(&app);
    if timeout(LAST_FAILURES_TIMEOUT, unwritten.write_all(&*store)).await.is_err() {
        tracing::error!(
            "the store did not write the last entries of the failure log within two seconds: they are lost"
        );
    }
}

/// Retries queued logouts until the gateway stops. Retries under way may then finish within
/// `GATEWAY_DRAIN_TIMEOUT`.
async fn work_queue(app: &AppState) {
    let (logout, timeout) = (app.logout.clone(), app.config.upstream.timeout);
    let (failures, metrics) = (app.failures.clone(), app.metrics.clone());
    let Some(worker) = Worker::new(logout, failures, timeout, metrics) else { return };
    tokio::select! {
        () = worker.run(app.stopping.clone()) => {}
        () = async {
            app.stopping.cancelled().await;
            sleep(app.config.server.drain_timeout).await;
        } => {}
    }
}

async fn check_readiness(app: &AppState) {
    let mut seconds = interval(CHECK_EVERY);
    loop {
        seconds.tick().await;
        app.readiness.check();
        report_omitted_lines(app);
    }
}

/// Logs how many log lines were omitted because a [`LineLimit`](crate::telemetry::line_limit::LineLimit) was
/// reached, and how many entries of the failure log were lost. Call this once a second.
fn report_omitted_lines(app: &AppState) {
    routes::logout::report_omitted_lines(&app.metrics);
    logout::report_omitted_lines();
    routes::verify::report_omitted_lines();
    gotrue::report_omitted_lines();
    app.failures.report_lost();
}

async fn count_minutes(app: &AppState) {
    let mut minutes = interval_at(Instant::now() + MINUTE, MINUTE);
    loop {
        minutes.tick().await;
        app.metrics.last_hour.begin_minute();
    }
}

async fn purge_expired(app: &AppState) {
    let (now, at) = (app.logout.clock.now().into(), Instant::now());
    // Only the store in memory has no queue. It is empty at the start, so a clock that is wrong at the start
    // cannot purge valid revocations.
    let mut clock_jump = match app.logout.store.queue() {
        Some(_) => ClockJumpDetector::unconfirmed(now, at),
        None => ClockJumpDetector::confirmed(now, at),
    };
    let mut minutes = interval(PURGE_EVERY);
    minutes.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        minutes.tick().await;
        purge(&app.logout, &mut clock_jump).await;
    }
}

async fn purge(Logout { clock, store, .. }: &Logout, clock_jump: &mut ClockJumpDetector) {
    if !clock_jump.observe(clock.now().into(), Instant::now()) {
        if clock_jump.has_jumped() {
            tracing::warn!(
                "the system clock was set within the last ten minutes: expired revocations are not purged yet, because the \
                 clock may be wrong"
            );
        }
    } else if let Err(cause) = store.purge_expired(clock.now()).await {
        tracing::warn!(%cause, "the store failed to purge expired revocations; the gateway tries again in a minute");
    }
}

#[cfg(test)]
mod tests;
