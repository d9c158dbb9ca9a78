//! What the gateway knows of a session before it asks GoTrue.

use secrecy::ExposeSecret as _;

use super::{Logout, LogoutRequest, LogoutResult, attempt::Attempt};
use crate::{
    gotrue::{Deadline, Refusal},
    outcome::Scope,
    session::{
        Proof, Session,
        introspection::{Introspection, introspect},
        token::TokenError,
    },
    store::list::SessionFact,
};

impl Logout {
    /// Whether GoTrue has confirmed, at any instance that shares the store, that this session is over. If
    /// the store does not answer, what this instance knows counts.
    pub(crate) async fn is_over(&self, session: &Session) -> bool {
        self.sync_list(session).await;
        self.knows_end(session)
    }

    /// Whether `verify` refuses the tokens of this session, as far as this instance knows.
    pub(super) fn is_refused(&self, session: &Session) -> bool {
        self.store.list().refuses(&session.claims, self.clock.now())
    }

    /// Whether an unconfirmed `global` or `others` of this session has set its one cut-off.
    pub(super) fn has_counted_cut_off(&self, session: &Session) -> bool {
        let (id, now) = (session.claims.session_id, self.clock.now());
        self.store.list().has_fact(SessionFact::CutOffCounted, id, now)
    }

    /// GoTrue's answer to a `local` logout of a session that is known to be over, where the access token
    /// may be forged: without it the reply would say success to a forger, and which ids have ended. `GET
    /// /user` asks, for GoTrue before 2.150 takes a second local logout for a global one. `None` where the
    /// logout itself is to be asked.
    pub(super) async fn answer_of_ended(
        &self,
        session: &Session,
        asked: LogoutRequest<'_>,
        deadline: Deadline,
    ) -> Option<Attempt> {
        if asked.scope != Scope::Local
            || session.proof != Proof::Unproven
            || session.expired
            || !self.knows_end(session)
        {
            return None;
        }
        let (token, user) = (session.access_token.expose_secret(), session.claims.sub);
        let result =
            match Box::pin(introspect(token, user, &self.gotrue, asked.caller, deadline)).await {
                // The session may have been restored from a backup.
                Ok(Introspection::Live) => return None,
                Ok(Introspection::Ended) => LogoutResult::AlreadyEnded,
                Ok(Introspection::Forged) => LogoutResult::NotGenuine(TokenError::Signature),
                Ok(Introspection::Banned) => LogoutResult::Failed(Refusal::UserBanned),
                Err(refusal) => LogoutResult::Failed(refusal),
            };
        Some(Attempt::without_answer(result))
    }

    pub(super) fn knows_end(&self, session: &Session) -> bool {
        let (id, now) = (session.claims.session_id, self.clock.now());
        self.store.list().has_fact(SessionFact::Ended, id, now)
    }

    /// Brings this instance's list up to date about the session; returns whether it is.
    pub(super) async fn sync_list(&self, session: &Session) -> bool {
        let synced = self.store.sync_list(&session.claims).await;
        synced
            .inspect_err(|cause| {
                tracing::warn!(
                    %cause,
                    "the store does not answer: a logout goes on with what this instance knows of its session"
                );
            })
            .is_ok()
    }
}
