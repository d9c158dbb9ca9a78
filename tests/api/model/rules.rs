//! Sections 3, 4 and 8 of the contract: what a world's gateway and GoTrue do with a session.

use super::{
    project::Judge,
    step::{Scope, Showing},
    world::{Expected, Fate, Session, User, World},
};

impl World {
    /// Whether the gateway takes the session's token for genuine, as far as that is its to judge; it may
    /// hear of new keys by that.
    pub(super) fn believes(&mut self, session: usize) -> Option<bool> {
        self.believed = self.believes_key(self.sessions[session].key);
        self.believed
    }

    pub(super) fn believes_key(&mut self, key: u32) -> Option<bool> {
        match self.project.judge {
            Judge::GoTrue => Some(true),
            Judge::Secret => Some(key == 0),
            Judge::KeySet => {
                if self.known.is_some_and(|known| known != key) && !self.refetched {
                    self.refetched = true;
                    self.known = (!self.fails("jwks")).then_some(self.keys);
                }
                self.known.map(|known| known == key)
            }
        }
    }

    /// Nobody knows what became of a logout, or when it will be done.
    fn doubt(&mut self, session: usize, scope: Scope) -> Option<Expected> {
        let user = self.sessions[session].user;
        self.may_be_over(session);
        self.set(user, |n| scope.names(session, n), Fate::Unknown);
        self.users[user].awaited |= self.project.durable && scope != Scope::Local;
        None
    }

    /// The gateway may know by now that GoTrue has ended it.
    fn may_be_over(&mut self, session: usize) {
        let over = &mut self.sessions[session].over;
        if *over == Some(false) {
            *over = None;
        }
    }

    /// GoTrue has confirmed that it is over. The gateway records that of proven sessions alone.
    fn is_over(&mut self, session: usize, proven: bool) {
        if proven {
            self.sessions[session].over = Some(true);
        } else {
            self.may_be_over(session);
        }
    }

    /// Sections 3 and 4 of the contract; `None` where nobody can tell.
    pub(super) fn logout(
        &mut self,
        session: usize,
        scope: Scope,
        showing: Showing,
    ) -> Option<Expected> {
        let refused = |status| Some(Expected { status, outcome: None });
        if let Some(status) = showing.refused_unseen() {
            return refused(status);
        }
        let gotrue_judges = self.project.judge == Judge::GoTrue;
        let believed = self.believes(session);
        let expired = self.expired(session);
        let unbelievable = self.of_the_future(session) || (showing.tampered() && !gotrue_judges);
        if unbelievable || believed == Some(false) {
            return refused(401);
        }
        if expired && !showing.by_cookie() {
            return refused(401);
        }
        if showing.without_csrf() {
            return if believed.is_some() { refused(403) } else { None };
        }
        let answered = |status, outcome| Some(Expected { status, outcome: Some(outcome) });
        let over = self.sessions[session].over;
        if scope == Scope::Local && over == Some(true) && believed.is_some() {
            // A token of a session that is over is not shown to GoTrue again.
            return answered(200, "already-ended");
        }
        if self.project.behind_proxy && showing.is_large() && !expired {
            return match (scope, over) {
                (Scope::Local, None) => None,
                _ if believed.is_none() => self.doubt(session, scope),
                _ => answered(500, "failed"),
            };
        }
        let taken = self.of_todays_key(session) && !showing.tampered();
        let refreshed = expired || !taken;
        if believed.is_none() || self.fails("logout") || (refreshed && self.fails("token")) {
            return self.doubt(session, scope);
        }
        // GoTrue does not take it, and there is no refresh token, or no proof that it is worth one.
        if !taken && !expired && (gotrue_judges || !showing.by_cookie()) {
            return refused(401);
        }
        if refreshed {
            let known = showing != Showing::CookieWithMadeUpRefreshToken;
            return self.asked_after_refresh(session, scope, known);
        }
        self.asked_of_gotrue(session, scope)
    }

    /// With a fresh token, if a GoTrue that works gives one for the refresh token. That it gives none proves
    /// nothing about the session.
    fn asked_after_refresh(
        &mut self,
        session: usize,
        scope: Scope,
        known: bool,
    ) -> Option<Expected> {
        let Session { user, fate, over, .. } = self.sessions[session];
        let expired = Some(Expected { status: 401, outcome: None });
        let refused = !known || fate == Fate::Dead || self.users[user].gone;
        match fate {
            _ if refused && over != Some(false) && scope == Scope::Local => None,
            _ if refused => expired,
            Fate::Unknown => self.doubt_of_living(session, scope),
            _ => self.asked_of_gotrue(session, scope),
        }
    }

    /// GoTrue works, but the session may have been gone before.
    fn doubt_of_living(&mut self, session: usize, scope: Scope) -> Option<Expected> {
        let user = self.sessions[session].user;
        self.may_be_over(session);
        self.set(user, |n| scope.names(session, n), Fate::Unknown);
        // If it was alive, it is dead by this.
        if !self.users[user].banned {
            self.end(user, |n| n == session && scope != Scope::Others);
        }
        None
    }

    /// A GoTrue that works is asked for it.
    fn asked_of_gotrue(&mut self, session: usize, scope: Scope) -> Option<Expected> {
        let Session { user, fate, .. } = self.sessions[session];
        let User { banned, gone, .. } = self.users[user];
        let judged_here = self.project.judge != Judge::GoTrue;
        let (status, outcome) = match fate {
            _ if gone => {
                if scope != Scope::Others {
                    self.is_over(session, judged_here);
                }
                (200, "already-ended")
            }
            Fate::Dead => {
                self.is_over(session, judged_here);
                if scope == Scope::Local { (200, "already-ended") } else { (401, "failed") }
            }
            Fate::Unknown if banned => return None,
            Fate::Unknown => return self.doubt_of_living(session, scope),
            Fate::Alive if banned => (500, "failed"),
            Fate::Alive => {
                self.end(user, |n| scope.names(session, n));
                if scope != Scope::Others {
                    self.is_over(session, true);
                }
                (200, "revoked")
            }
        };
        Some(Expected { status, outcome: Some(outcome) })
    }

    /// What `verify` and `csrf` are to say.
    pub(super) fn looked_at(&mut self, session: usize) {
        let Session { user, fate, .. } = self.sessions[session];
        let (expired, future) = (self.expired(session), self.of_the_future(session));
        let told = self.of_todays_key(session) && !self.fails("user");
        let living = fate == Fate::Alive && !self.users[user].banned;
        let by_gotrue = self.project.judge == Judge::GoTrue;
        let believed = self.believes(session);
        // GoTrue's word is remembered for a while: what it said earlier may count still.
        self.let_in = match believed {
            _ if expired || future => Some(false),
            Some(true) if by_gotrue => (told && living).then_some(true),
            believed => believed,
        };
        self.given_csrf = match believed {
            _ if future => Some(false),
            Some(true) if by_gotrue => (told || expired).then_some(true),
            believed => believed,
        };
    }

    /// Whether a logout by its Bearer would reach GoTrue in any case.
    pub(super) fn in_order(&self, session: usize) -> bool {
        let Session { user, fate, key, .. } = self.sessions[session];
        let believed = match self.project.judge {
            Judge::GoTrue => true,
            Judge::Secret => key == 0,
            Judge::KeySet => self.known == Some(key),
        };
        let in_time = !self.expired(session) && !self.of_the_future(session);
        fate == Fate::Alive
            && !self.users[user].banned
            && self.of_todays_key(session)
            && believed
            && in_time
    }
}
