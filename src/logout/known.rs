//! What the gateway knows of a session before GoTrue is asked.

use super::Logout;
use crate::{session::Session, store::list::SessionFact};

impl Logout {
    /// Whether GoTrue has confirmed, at any instance that shares the store, that this session is over. If
    /// the store does not answer, what this instance knows counts.
    pub async fn is_over(&self, session: &Session) -> bool {
        self.learn(session).await;
        self.knows_end(session)
    }

    /// Whether this session may be over already, for all that the list says: GoTrue confirmed its end, or
    /// `verify` refuses its tokens, such as after `others` of another session. If the store does not answer,
    /// another instance may know its end.
    pub(super) async fn may_be_over(&self, session: &Session) -> bool {
        let is_up_to_date = self.learn(session).await;
        let now = self.clock.unix_seconds();
        !is_up_to_date || self.knows_end(session) || self.store.list().refuses(&session.claims, now)
    }

    pub(super) fn knows_end(&self, session: &Session) -> bool {
        let (id, now) = (session.claims.session_id, self.clock.unix_seconds());
        self.store.list().holds_fact(SessionFact::Ended, id, now)
    }

    /// Brings the list of this instance up to date about this session; answers whether it is.
    pub(super) async fn learn(&self, session: &Session) -> bool {
        let learned = self.store.learn(&session.claims).await;
        learned
            .inspect_err(|cause| {
                tracing::warn!(
                    %cause,
                    "a logout goes on with what this instance knows: other instances may know more of its session"
                );
            })
            .is_ok()
    }
}
