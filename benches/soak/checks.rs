//! Assertions about the sessions of a client after a request.

use test_harness::Reply;

use super::client::{Client, Session};

impl Client {
    pub(super) fn assert_no_session_ended(&self) {
        for session in self.sessions.iter().filter(|session| session.alive) {
            assert!(self.soak.app.is_alive(&session.tokens), "a session ended without a logout");
        }
    }

    /// Asserts that the request ended no session, and that its response is an error, or `already-ended` for a
    /// session that had ended before.
    pub(super) fn assert_harmless(&self, index: usize, reply: &Reply) {
        let Session { alive, .. } = self.sessions[index];
        let ended = reply.header("x-logout-outcome") == Some("already-ended") && !alive;
        assert!(reply.status >= 400 || ended, "{reply:?}");
        self.assert_no_session_ended();
    }

    /// Asserts that a success ended every session that the scope includes, and that no session ended that the
    /// scope does not include or whose logout was refused.
    pub(super) fn check_logout(
        &mut self,
        index: usize,
        scope: &str,
        requested_at: i64,
        reply: &Reply,
    ) {
        let (success, refused) = (reply.status < 300, (400..429).contains(&reply.status));
        let was_alive = self.sessions[index].alive;
        let revoked = reply.header("x-logout-outcome") == Some("revoked");
        for (n, session) in self.sessions.iter_mut().enumerate() {
            let included = match scope {
                "local" => n == index,
                "others" => n != index,
                _ => true,
            };
            let alive = self.soak.app.is_alive(&session.tokens);
            assert!(
                alive || !session.alive || (included && !refused),
                "{n} by {scope} of {index}: {reply:?}"
            );
            // A `global` logout of an ended session may succeed although GoTrue refused it, so the user's
            // other sessions need not have ended.
            let must_have_ended = included && (scope != "global" || was_alive || n == index);
            assert!(
                !(success && must_have_ended && alive),
                "{n} lives: {scope} of {index}: {reply:?}"
            );
            session.may_end |= included && reply.status >= 429;
            session.alive = alive && !session.may_end;
            // GoTrue's clock was at `requested_at` or later when it ended the sessions, so the cut-off is not
            // earlier.
            let is_before_cut_off = scope != "local" && session.issued_at <= requested_at;
            let itself = n == index && scope != "others";
            if revoked && (itself || (included && is_before_cut_off)) {
                session.ended = Some(format!("{scope} of {index}, itself {itself}: {reply:?}"));
            }
        }
    }
}
