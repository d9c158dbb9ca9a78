//! Queries the revocation list about a session before GoTrue is asked to end it.

use std::time::Instant;

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
    telemetry::line_limit::LineLimit,
};

/// While the store does not answer, every logout would write a log line. The limit is shared by all threads,
/// because all threads write to one log.
static STORE_FAILURES: LineLimit = LineLimit::new(20);

impl Logout {
    /// Whether GoTrue has confirmed the end of this session to any instance that shares the store. If the
    /// store does not answer, the result is from this instance's copy of the revocation list.
    pub(crate) async fn has_ended(&self, session: &Session) -> bool {
        self.sync_list(session).await;
        self.list_has_end(session)
    }

    /// Whether `/api/auth/verify` refuses the tokens of this session, by this instance's copy of the
    /// revocation list.
    pub(super) fn is_refused(&self, session: &Session) -> bool {
        self.store.list().refuses(&session.claims, self.clock.now())
    }

    /// Whether this session has already used its one cut-off: whether a `global` or `others` logout of it,
    /// which GoTrue did not confirm, has set a cut-off in the revocation list.
    pub(super) fn has_counted_cut_off(&self, session: &Session) -> bool {
        let (id, now) = (session.claims.session_id, self.clock.now());
        self.store.list().has_fact(SessionFact::CutOffCounted, id, now)
    }

    /// Asks GoTrue about the access token of a `local` logout, if the token is unproven and the revocation
    /// list has the end of its session. Without this check, a client with a forged token would get a success
    /// and learn which sessions have ended. The check is `GET /user`, because GoTrue before 2.150 treats a
    /// second `local` logout as a `global` one. Returns `None` if the logout request itself must be sent.
    pub(super) async fn introspect_ended_session(
        &self,
        session: &Session,
        request: LogoutRequest<'_>,
        deadline: Deadline,
    ) -> Option<Attempt> {
        if request.scope != Scope::Local
            || session.proof != Proof::Unproven
            || session.expired
            || !self.list_has_end(session)
        {
            return None;
        }
        let (token, user) = (session.access_token.expose_secret(), session.claims.sub);
        let result =
            match Box::pin(introspect(token, user, &self.gotrue, request.caller, deadline)).await {
                // The session is active although the list has its end: GoTrue's database may have been
                // restored from a backup.
                Ok(Introspection::Live) => return None,
                Ok(Introspection::Ended) => LogoutResult::AlreadyEnded,
                Ok(Introspection::Forged) => LogoutResult::NotGenuine(TokenError::Signature),
                Ok(Introspection::Banned) => LogoutResult::Failed(Refusal::UserBanned),
                Err(refusal) => LogoutResult::Failed(refusal),
            };
        Some(Attempt::without_answer(result))
    }

    pub(super) fn list_has_end(&self, session: &Session) -> bool {
        let (id, now) = (session.claims.session_id, self.clock.now());
        self.store.list().has_fact(SessionFact::Ended, id, now)
    }

    /// Updates this instance's copy of the revocation list about the session. Returns whether the store
    /// answered, so that the copy is up to date.
    pub(super) async fn sync_list(&self, session: &Session) -> bool {
        let synced = self.store.sync_list(&session.claims).await;
        synced
            .inspect_err(|cause| {
                if STORE_FAILURES.admits(Instant::now()) {
                    tracing::warn!(
                        %cause,
                        "the store does not answer: a logout continues with the revocations that this instance knows already"
                    );
                }
            })
            .is_ok()
    }
}

/// Logs the number of lines that were left out since the last call. A background task calls it once a second.
pub(crate) fn report_omitted_lines() {
    let omitted = STORE_FAILURES.take_omitted();
    if omitted > 0 {
        tracing::warn!(
            omitted,
            "the log left out warnings that the store did not answer a logout, more than 20 in one second: \
             logout_gateway_store_errors_total counts them all"
        );
    }
}
