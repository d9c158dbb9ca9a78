//! Assertions about the gateway after each step of a sequence.

use std::{collections::HashSet, time::Instant};

use super::{gateway::GatewayUnderTest, reference::ReferenceModel};

impl GatewayUnderTest {
    /// Asserts that `verify` and `csrf` respond as the model expects.
    pub(super) fn verify_and_fetch_csrf(&mut self, model: &ReferenceModel, session: usize) {
        let tokens = &self.sessions[session].tokens;
        let status_of = |path: &str| {
            let request = self.app.get(path).bearer(&tokens.access_token);
            self.runtime.block_on(request.send()).status
        };
        let (verify_status, csrf_status) =
            (status_of("/api/auth/verify"), status_of("/api/auth/csrf"));
        if verify_status == 200 || csrf_status == 200 {
            self.sessions[session].introspected_at = Some(Instant::now());
        }
        match (model.verify_accepts, self.is_listed(session)) {
            (Some(false), _) | (Some(true), Some(true)) => {
                assert_eq!(verify_status, 401, "{session}");
            }
            (Some(true), Some(false)) => assert_eq!(verify_status, 200, "{session}"),
            (_, listed) => {
                assert!(matches!(verify_status, 200 | 401 | 503), "{verify_status}");
                assert!(listed != Some(true) || verify_status != 200, "{session}");
            }
        }
        match model.csrf_accepts {
            Some(true) => assert_eq!(csrf_status, 200, "{session}"),
            Some(false) => assert_eq!(csrf_status, 401, "{session}"),
            None => assert!(matches!(csrf_status, 200 | 401 | 429 | 500), "{csrf_status}"),
        }
    }

    /// Asserts that each queued logout is still in the queue, done, or given up.
    pub(super) fn assert_queued_logouts(&self) {
        for queued in &self.queued_logouts {
            let is_kept = queued.is_queued_done_or_given_up(&self.app, &self.sessions);
            assert!(self.runtime.block_on(is_kept), "{queued:?}");
        }
    }

    /// Asserts that unproven requests have left no entry, and that the revocation list has no more entries
    /// than the contract allows.
    pub(super) fn assert_bounds(&self) {
        let most = self.sessions.len() + 2 * self.users.len();
        assert!(self.revocations() <= most, "{} of {most}", self.revocations());
        let failures = self.report_entries("/failures", "failures");
        let queue =
            if self.has_queue { self.report_entries("/queue", "entries") } else { Vec::new() };
        for line in failures.iter().chain(&queue) {
            let id = line["request_id"].as_str().unwrap();
            assert!(!self.must_leave_no_trace.contains(id), "{line}");
        }
        for failure in &failures {
            assert_ne!(failure["outcome"], "refused", "{failure}");
        }
        let mut entries = HashSet::new();
        for entry in &queue {
            let key = (entry["session_id"].to_string(), entry["scope"].to_string());
            assert!(
                entries.insert(key),
                "the queue has two entries for one session and scope: {entry}"
            );
        }
    }
}
