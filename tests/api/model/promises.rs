//! Successes that are still to come: what was queued dies in the end, or is told as a failure.

use std::time::Duration;

use super::{gateway::Session, step::Scope};
use crate::harness::{TestApp, eventually_within};

/// A logout that was answered with 202.
#[derive(Debug)]
pub(super) struct Promise {
    pub(super) user: usize,
    pub(super) session: usize,
    pub(super) scope: Scope,
    /// Those who must die by it.
    pub(super) named: Vec<usize>,
}

impl Promise {
    /// Something else may end the session that asked. Who asked for all and is gone counts as gone by a
    /// try of unknown outcome, so that nothing is certain of the others.
    pub(super) fn meddled(&mut self) {
        if self.scope == Scope::Global {
            self.named = vec![self.session];
        }
    }

    /// It waits, or it is done, or it is told that it will not be.
    pub(super) async fn is_kept(&self, app: &TestApp, sessions: &[Session]) -> bool {
        let id = sessions[self.session].tokens.session_id.to_string();
        // In this order: it leaves the queue after it was done or told.
        let queue = app.admin_json("/queue").await;
        let mut waiting = queue["entries"].as_array().unwrap().iter();
        if waiting.any(|entry| entry["session_id"] == *id && entry["scope"] == self.scope.word()) {
            return true;
        }
        if self.named.iter().all(|n| !app.is_alive(&sessions[*n].tokens)) {
            return true;
        }
        let log = app.admin_json("/failures").await;
        let mut told = log["failures"].as_array().unwrap().iter();
        told.any(|failure| failure["session_id"] == *id && failure["outcome"] == "gave-up")
    }
}

const WEEK: i64 = 7 * 86_400;

/// Everything is due, again and again, until the queue is empty; those of banned users wait a week.
pub(super) async fn worked_off(app: &mut TestApp) {
    for seconds in [301, 301, WEEK, 301, 301, 301] {
        app.advance_time(seconds);
        // Whoever starts looks at once.
        app.restart_gateway(&[]);
        let empty = async || app.admin_json("/queue").await["waiting"] == 0;
        if eventually_within(Duration::from_secs(1), empty).await {
            return;
        }
    }
    panic!("the queue is not empty: {}", app.admin_json("/queue").await);
}
