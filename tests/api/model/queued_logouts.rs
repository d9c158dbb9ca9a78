//! Queued logouts of a sequence: each must be done in the end, or be in the failure log.

use std::time::Duration;

use super::{gateway::Session, step::Scope};
use crate::harness::{TestApp, eventually_within};

/// A logout to which the gateway responded with 202.
#[derive(Debug)]
pub(super) struct QueuedLogout {
    pub(super) user: usize,
    pub(super) session: usize,
    pub(super) scope: Scope,
    /// The sessions that the logout must end.
    pub(super) included: Vec<usize>,
}

impl QueuedLogout {
    /// Notes that something else may end the session that signed out. If the session has already ended when a
    /// `global` logout is retried, GoTrue refuses the logout, and the user's other sessions may stay alive.
    pub(super) fn allow_other_ends(&mut self) {
        if self.scope == Scope::Global {
            self.included = vec![self.session];
        }
    }

    /// Whether the logout is still in the queue, done, or in the failure log as given up.
    pub(super) async fn is_queued_done_or_given_up(
        &self,
        app: &TestApp,
        sessions: &[Session],
    ) -> bool {
        let id = sessions[self.session].tokens.session_id.to_string();
        // Look in the queue first: the gateway removes an entry only after the logout was done or written to
        // the failure log.
        let queue = app.admin_json("/queue").await;
        let mut entries = queue["entries"].as_array().unwrap().iter();
        if entries.any(|entry| entry["session_id"] == *id && entry["scope"] == self.scope.as_str())
        {
            return true;
        }
        if self.included.iter().all(|n| !app.is_alive(&sessions[*n].tokens)) {
            return true;
        }
        let log = app.admin_json("/failures").await;
        let mut failures = log["failures"].as_array().unwrap().iter();
        failures.any(|failure| failure["session_id"] == *id && failure["outcome"] == "gave-up")
    }
}

const WEEK: i64 = 7 * 86_400;

/// Makes all entries due, several times, until the queue is empty. One pause is a week, because the gateway
/// retries entries of banned users for a week.
pub(super) async fn run_queue_until_empty(app: &mut TestApp) {
    for seconds in [301, 301, WEEK, 301, 301, 301] {
        app.advance_time(seconds);
        // Restart the gateway, because a gateway takes due entries at once when it starts.
        app.restart_gateway(&[]);
        let empty = async || app.admin_json("/queue").await["waiting"] == 0;
        if eventually_within(Duration::from_secs(1), empty).await {
            return;
        }
    }
    panic!("the queue is not empty: {}", app.admin_json("/queue").await);
}
