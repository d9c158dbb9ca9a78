//! Successes that are still to come: what was queued dies in the end, or is told as a failure.

use std::time::Duration;

use super::{gateway::Session, step::Scope};
use crate::harness::{Stage, eventually_within};

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
    pub(super) async fn is_kept(&self, stage: &Stage, sessions: &[Session]) -> bool {
        let id = sessions[self.session].tokens.session_id.to_string();
        // In this order: it leaves the queue after it was done or told.
        let queue = stage.report("/queue").await;
        let mut waiting = queue["entries"].as_array().unwrap().iter();
        if waiting.any(|entry| entry["session_id"] == *id && entry["scope"] == self.scope.word()) {
            return true;
        }
        if self.named.iter().all(|n| !stage.alive(&sessions[*n].tokens)) {
            return true;
        }
        let log = stage.report("/failures").await;
        let mut told = log["failures"].as_array().unwrap().iter();
        told.any(|failure| failure["session_id"] == *id && failure["outcome"] == "gave-up")
    }
}

const WEEK: i64 = 7 * 86_400;

/// Everything is due, again and again, until the queue is empty; those of banned users wait a week.
pub(super) async fn worked_off(stage: &mut Stage) {
    for seconds in [301, 301, WEEK, 301, 301, 301] {
        stage.pass(seconds);
        // Whoever starts looks at once.
        stage.restart(&[]);
        let empty = async || stage.report("/queue").await["waiting"] == 0;
        if eventually_within(Duration::from_secs(1), empty).await {
            return;
        }
    }
    panic!("the queue is not empty: {}", stage.report("/queue").await);
}
