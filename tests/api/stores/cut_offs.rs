//! However many logouts a user requests, the revocation list must have at most two cut-offs of the user, and
//! must refuse the same tokens as all cut-offs together.

use logout_gateway::internals::{outcome::Scope, session::token::Claims, store::Store};
use uuid::Uuid;

use super::{
    StoreLocation,
    list::{log_out, log_out_unconfirmed, now, refuses, session_of},
};

/// The number of sessions that the user has.
const SESSIONS: usize = 5;

/// All logouts that one user has requested.
pub(super) struct History {
    sessions: Vec<Claims>,
    /// Each logout as the session that it spared, if any, and the time up to which it refuses tokens.
    logouts: Vec<(Option<Uuid>, i64)>,
    /// The sessions that the store must refuse whatever the issue time of their tokens is.
    ended: Vec<Uuid>,
    now: i64,
    random: fastrand::Rng,
}

impl History {
    pub(super) fn new(now: i64) -> Self {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let user = Uuid::new_v4();
        Self {
            sessions: (0..SESSIONS).map(|_| session_of(user, now)).collect(),
            logouts: Vec::new(),
            ended: Vec::new(),
            now,
            random: fastrand::Rng::with_seed(seed),
        }
    }

    pub(super) fn user(&self) -> Uuid {
        self.sessions[0].sub
    }

    /// Requests a random logout, mostly with the scope `others`. Its time may be before that of earlier
    /// logouts.
    pub(super) async fn log_out(&mut self, store: &dyn Store) {
        let current = self.sessions[self.random.usize(..SESSIONS)].clone();
        let at = self.now + self.random.i64(0..40);
        let scope = if self.random.u8(..5) == 0 { Scope::Global } else { Scope::Others };
        let spared = (scope == Scope::Others).then_some(current.session_id);
        if scope == Scope::Global {
            self.ended.push(current.session_id);
        }
        self.logouts.push((spared, at));
        if self.random.bool() {
            log_out(store, &current, scope, at).await;
        } else {
            log_out_unconfirmed(store, &current, scope, at).await;
        }
    }

    fn is_refused(&self, claims: &Claims) -> bool {
        let iat = claims.iat.unwrap_or(i64::MIN);
        let cut_off = |(spared, before): &(Option<Uuid>, i64)| {
            *spared != Some(claims.session_id) && iat <= *before
        };
        self.ended.contains(&claims.session_id) || self.logouts.iter().any(cut_off)
    }

    /// Asserts that the store refuses exactly those tokens that the logouts must refuse. The tokens are of
    /// each second, of each session, and of a session that never signed out.
    pub(super) async fn assert_refused_by(&self, store: &dyn Store) {
        let other = session_of(self.user(), self.now);
        for session in self.sessions.iter().chain([&other]) {
            for iat in (-1..42).map(|n| Some(self.now + n)).chain([None]) {
                let token = Claims { iat, ..session.clone() };
                let refused = refuses(store, &token, self.now).await;
                assert_eq!(refused, self.is_refused(&token), "{token:?} of {:?}", self.logouts);
            }
        }
    }
}

pub(super) async fn two_cut_offs_refuse_the_same_tokens_as_all_logouts_of_a_user(
    location: &StoreLocation,
) {
    let (store, now) = (location.open().await, now());
    for _ in 0..8 {
        let mut history = History::new(now);
        let before = store.list().count();
        for _ in 0..12 {
            history.log_out(&*store).await;
            let ended: std::collections::HashSet<_> = history.ended.iter().collect();
            assert!(store.list().count() <= before + ended.len() + 2);
        }
        history.assert_refused_by(&*store).await;
    }
}

pub(super) async fn a_cut_off_refuses_its_own_second(location: &StoreLocation) {
    let (store, now) = (location.open().await, now());
    for scope in [Scope::Global, Scope::Others] {
        let current = session_of(Uuid::new_v4(), now);
        log_out(&*store, &current, scope, now).await;
        let other = |iat| session_of(current.sub, iat);
        assert!(refuses(&*store, &other(now), now).await, "{scope:?}");
        assert!(!refuses(&*store, &other(now + 1), now).await, "{scope:?}");
        assert_eq!(refuses(&*store, &current, now).await, scope == Scope::Global);
    }
}
