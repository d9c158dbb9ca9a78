//! The rules of the model, from sections 3, 4 and 8 of the contract: what the gateway and GoTrue do with a
//! session.

use super::{
    project::VerifiedBy,
    reference::{Expected, ReferenceModel, Session, SessionState, User},
    step::{Credential, Scope},
};

impl ReferenceModel {
    /// Whether the gateway, as far as it verifies signatures itself, accepts the signature of the session's
    /// token; `None` if the model cannot tell. A token with an unknown key makes the gateway fetch the key
    /// set.
    pub(super) fn check_key(&mut self, session: usize) -> Option<bool> {
        self.accepts_key = self.check_key_number(self.sessions[session].key);
        self.accepts_key
    }

    pub(super) fn check_key_number(&mut self, key: u32) -> Option<bool> {
        match self.project.verified_by {
            VerifiedBy::GoTrue => Some(true),
            VerifiedBy::Secret => Some(key == 0),
            VerifiedBy::KeySet => {
                if self.gateway_key.is_some_and(|gateway_key| gateway_key != key) && !self.refetched
                {
                    self.refetched = true;
                    self.gateway_key = (!self.fails("jwks")).then_some(self.gotrue_key);
                }
                self.gateway_key.map(|gateway_key| gateway_key == key)
            }
        }
    }

    /// Records a logout whose result the model cannot predict, because GoTrue may fail or the gateway may
    /// queue the logout.
    fn uncertain_logout(&mut self, session: usize, scope: Scope) -> Option<Expected> {
        let user = self.sessions[session].user;
        self.may_know_ended(session);
        self.set(user, |n| scope.includes(session, n), SessionState::Unknown);
        self.users[user].has_queued_logout |= self.project.durable && scope != Scope::Local;
        None
    }

    /// Records that from now on the gateway may know that the session has ended.
    fn may_know_ended(&mut self, session: usize) {
        let known_ended = &mut self.sessions[session].known_ended;
        if *known_ended == Some(false) {
            *known_ended = None;
        }
    }

    /// Records that GoTrue has confirmed the end of the session. The gateway records that end only for proven
    /// sessions.
    fn confirm_ended(&mut self, session: usize, proven: bool) {
        if proven {
            self.sessions[session].known_ended = Some(true);
        } else {
            self.may_know_ended(session);
        }
    }

    /// The response that sections 3 and 4 of the contract require for a logout; `None` if the model cannot
    /// predict it.
    pub(super) fn logout(
        &mut self,
        session: usize,
        scope: Scope,
        credential: Credential,
    ) -> Option<Expected> {
        let refused = |status| Some(Expected { status, outcome: None });
        if let Some(status) = credential.status_before_token_check() {
            return refused(status);
        }
        let gotrue_verifies = self.project.verified_by == VerifiedBy::GoTrue;
        let accepts_key = self.check_key(session);
        let is_expired = self.is_expired(session);
        let is_rejected = credential.is_tampered() && !gotrue_verifies;
        if is_rejected || accepts_key == Some(false) {
            return refused(401);
        }
        if is_expired && !credential.is_cookie() {
            return refused(401);
        }
        if credential.lacks_csrf() {
            return if accepts_key.is_some() { refused(403) } else { None };
        }
        let answered = |status, outcome| Some(Expected { status, outcome: Some(outcome) });
        let known_ended = self.sessions[session].known_ended;
        let gotrue_accepts = self.is_signed_with_current_key(session) && !credential.is_tampered();
        let is_too_large = self.project.behind_proxy && credential.is_large() && !is_expired;
        if scope == Scope::Local && known_ended == Some(true) && accepts_key.is_some() {
            // The gateway must send no second logout to GoTrue for a session that it knows to have ended. If
            // only GoTrue can verify the token, the gateway asks GoTrue about the token.
            if !gotrue_verifies {
                return answered(200, "already-ended");
            }
            let may_be_refused =
                self.fails("user") || self.users[self.sessions[session].user].banned;
            if !is_expired {
                let is_certain = gotrue_accepts && !is_too_large && !may_be_refused;
                return if is_certain { answered(200, "already-ended") } else { None };
            }
        }
        if is_too_large {
            return match (scope, known_ended) {
                (Scope::Local, None) => None,
                _ if accepts_key.is_none() => self.uncertain_logout(session, scope),
                _ => answered(500, "failed"),
            };
        }
        let refreshed = is_expired || !gotrue_accepts;
        if accepts_key.is_none() || self.fails("logout") || (refreshed && self.fails("token")) {
            return self.uncertain_logout(session, scope);
        }
        // GoTrue rejects the token, and the gateway cannot or must not refresh the session, so the logout
        // must get a 401.
        if !gotrue_accepts && !is_expired && (gotrue_verifies || !credential.is_cookie()) {
            // If the gateway knows that the session has ended, it does not ask GoTrue.
            let may_be_known = scope == Scope::Local && known_ended.is_none();
            return if may_be_known { None } else { refused(401) };
        }
        if refreshed {
            let refresh_token_exists = credential != Credential::CookieWithMadeUpRefreshToken;
            return self.logout_after_refresh(session, scope, refresh_token_exists);
        }
        self.logout_at_gotrue(session, scope)
    }

    /// The response to a logout for which the gateway first refreshes the session at a GoTrue that works;
    /// `None` if the model cannot predict it. A refused refresh does not prove that the session has ended.
    fn logout_after_refresh(
        &mut self,
        session: usize,
        scope: Scope,
        refresh_token_exists: bool,
    ) -> Option<Expected> {
        let Session { user, state, known_ended, .. } = self.sessions[session];
        let is_expired = Some(Expected { status: 401, outcome: None });
        let refused =
            !refresh_token_exists || state == SessionState::Ended || self.users[user].deleted;
        match state {
            _ if refused && known_ended != Some(false) && scope == Scope::Local => None,
            _ if refused => is_expired,
            SessionState::Unknown => self.uncertain_logout_of_live_session(session, scope),
            _ => self.logout_at_gotrue(session, scope),
        }
    }

    /// Records a logout that reaches a GoTrue that works, of a session that may have ended before.
    fn uncertain_logout_of_live_session(
        &mut self,
        session: usize,
        scope: Scope,
    ) -> Option<Expected> {
        let user = self.sessions[session].user;
        self.may_know_ended(session);
        self.set(user, |n| scope.includes(session, n), SessionState::Unknown);
        // Whether the session was alive until now or not, it has ended after this logout.
        if !self.users[user].banned {
            self.end(user, |n| n == session && scope != Scope::Others);
        }
        None
    }

    /// The response to a logout that reaches a GoTrue that works; `None` if the model cannot predict it.
    fn logout_at_gotrue(&mut self, session: usize, scope: Scope) -> Option<Expected> {
        let Session { user, state, .. } = self.sessions[session];
        let User { banned, deleted, .. } = self.users[user];
        let gateway_verifies = self.project.verified_by != VerifiedBy::GoTrue;
        let (status, outcome) = match state {
            _ if deleted => {
                if scope != Scope::Others {
                    self.confirm_ended(session, gateway_verifies);
                }
                (200, "already-ended")
            }
            SessionState::Ended => {
                self.confirm_ended(session, gateway_verifies);
                if scope == Scope::Local { (200, "already-ended") } else { (401, "failed") }
            }
            SessionState::Unknown if banned => return None,
            SessionState::Unknown => return self.uncertain_logout_of_live_session(session, scope),
            SessionState::Alive if banned => (500, "failed"),
            SessionState::Alive => {
                self.end(user, |n| scope.includes(session, n));
                if scope != Scope::Others {
                    self.confirm_ended(session, true);
                }
                (200, "revoked")
            }
        };
        Some(Expected { status, outcome: Some(outcome) })
    }

    /// Sets the results that `verify` and `csrf` must have for the session.
    pub(super) fn expect_verify(&mut self, session: usize) {
        let Session { user, state, .. } = self.sessions[session];
        let is_expired = self.is_expired(session);
        let gotrue_accepts_key = self.is_signed_with_current_key(session) && !self.fails("user");
        let is_alive = state == SessionState::Alive && !self.users[user].banned;
        let by_gotrue = self.project.verified_by == VerifiedBy::GoTrue;
        let accepts_key = self.check_key(session);
        // If GoTrue verifies the token, the gateway may use an older result of GoTrue that it remembers, so
        // the model can predict only acceptance.
        self.verify_accepts = match accepts_key {
            _ if is_expired => Some(false),
            Some(true) if by_gotrue => (gotrue_accepts_key && is_alive).then_some(true),
            accepts_key => accepts_key,
        };
        self.csrf_accepts = match accepts_key {
            Some(true) if by_gotrue => (gotrue_accepts_key || is_expired).then_some(true),
            accepts_key => accepts_key,
        };
    }

    /// Whether a logout with the session's bearer token is certain to reach GoTrue and to be accepted there.
    pub(super) fn reaches_gotrue(&self, session: usize) -> bool {
        let Session { user, state, key, .. } = self.sessions[session];
        let accepts_key = match self.project.verified_by {
            VerifiedBy::GoTrue => true,
            VerifiedBy::Secret => key == 0,
            VerifiedBy::KeySet => self.gateway_key == Some(key),
        };
        state == SessionState::Alive
            && !self.users[user].banned
            && self.is_signed_with_current_key(session)
            && accepts_key
            && !self.is_expired(session)
    }
}
