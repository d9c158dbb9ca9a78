//! What happens beside serving: keys, the store's upkeep, the failure log, and who watches.

mod clock_jump;
mod startup_warnings;

use std::{sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    sync::Semaphore,
    time::{Instant, MissedTickBehavior, interval, interval_at, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use self::clock_jump::Steadiness;
use crate::{
    failure_log::Unwritten,
    gotrue,
    http::{
        router,
        routes::{logout, verify},
        server,
        state::AppState,
    },
    logout::Logout,
    queue::worker::Worker,
};

/// Whoever watches: no crowd of clients keeps them out.
const ADMIN_CONNECTIONS: usize = 64;
/// What is measured meanwhile is kept one by one.
const CONDENSE_EVERY: Duration = Duration::from_secs(5);
const MINUTE: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_secs(1);
const FORGET_EVERY: Duration = MINUTE;
/// How long the store may take for what is left of the failure log.
const LAST_FAILURES: Duration = Duration::from_secs(2);

/// Until `over`.
pub(super) async fn run(
    admin: Option<TcpListener>,
    app: Arc<AppState>,
    mut unwritten: Unwritten,
    over: CancellationToken,
) {
    let store = app.logout.store.clone();
    let fetch = || {
        let deadline = Instant::now() + app.config.upstream.timeout;
        app.logout.gotrue.jwks(app.verifier.takes_no_key_set_for_empty(), deadline)
    };
    let instrumented = async {
        if let Some(listener) = admin {
            let connections = Arc::new(Semaphore::new(ADMIN_CONNECTIONS));
            let (router, limits) = (router::admin(app.clone()), &app.config.limits);
            server::run(listener, router, limits, connections, over.clone()).await;
        }
        over.cancelled().await;
    };
    tokio::select! {
        // What the worker has started_at is brought to its end, like any other logout.
        ((), ()) = async { tokio::join!(instrumented, work(&app)) } => {}
        () = app.jwks.keep_fetching(fetch) => {}
        () = keep_forgetting(&app) => {}
        () = keep_condensing(&app) => {}
        () = keep_looking(&app) => {}
        () = keep_minutes(&app) => {}
        () = startup_warnings::warn(&app) => {}
        () = store.keep() => {}
        () = unwritten.write_all(&*store) => {}
    }
    unwritten.close();
    report_omitted_lines(&app);
    if timeout(LAST_FAILURES, unwritten.write_all(&*store)).await.is_err() {
        tracing::error!("the last lines of the failure log could not be written in time");
    }
}

/// Works off the queue until the gateway has stopped, within `GATEWAY_DRAIN_TIMEOUT`.
async fn work(app: &AppState) {
    let (logout, patience) = (app.logout.clone(), app.config.upstream.timeout);
    let (failures, metrics) = (app.failures.clone(), app.metrics.clone());
    let Some(worker) = Worker::new(logout, failures, patience, metrics) else { return };
    tokio::select! {
        () = worker.run(app.stopping.clone()) => {}
        () = async {
            app.stopping.cancelled().await;
            sleep(app.config.server.drain_timeout).await;
        } => {}
    }
}

async fn keep_condensing(app: &AppState) {
    let mut rounds = interval(CONDENSE_EVERY);
    loop {
        rounds.tick().await;
        app.metrics.condense();
    }
}

async fn keep_looking(app: &AppState) {
    let mut seconds = interval(LOOK_EVERY);
    loop {
        seconds.tick().await;
        app.readiness.look();
        report_omitted_lines(app);
    }
}

/// What is logged as a number alone. To be called once a second.
fn report_omitted_lines(app: &AppState) {
    logout::report_omitted_lines(&app.metrics);
    verify::report_omitted_lines();
    gotrue::report_omitted_lines();
    app.failures.report_lost();
}

async fn keep_minutes(app: &AppState) {
    let mut minutes = interval_at(Instant::now() + MINUTE, MINUTE);
    loop {
        minutes.tick().await;
        app.metrics.last_hour.begin_minute();
    }
}

async fn keep_forgetting(app: &AppState) {
    let (now, at) = (app.logout.clock.now(), Instant::now());
    // A store without a queue is in memory: it was empty at the start.
    let mut clock_jump = match app.logout.store.queue() {
        Some(_) => Steadiness::new(now, at),
        None => Steadiness::believed(now, at),
    };
    let mut minutes = interval(FORGET_EVERY);
    minutes.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        minutes.tick().await;
        forget(&app.logout, &mut clock_jump).await;
    }
}

async fn forget(Logout { clock, store, .. }: &Logout, clock_jump: &mut Steadiness) {
    if !clock_jump.is_steady(clock.now(), Instant::now()) {
        if clock_jump.was_set() {
            tracing::warn!("the clock was set: the revocation list keeps everything for now");
        }
    } else if let Err(cause) = store.purge_expired(clock.unix_seconds()).await {
        tracing::warn!(%cause, "the revocation list keeps what nobody needs");
    }
}

#[cfg(test)]
mod tests;
