//! What one user asks for again and again is two lines at most, which refuse the same tokens.

use logout_gateway::internals::{outcome::Scope, session::token::Claims, store::Store};
use uuid::Uuid;

use super::{
    Place,
    list::{log_out, log_out_unconfirmed, now, refuses, session_of},
};

/// How many sessions the user has.
const SESSIONS: usize = 5;

/// The logouts of one user, every one of them remembered.
pub(super) struct History {
    sessions: Vec<Claims>,
    /// The session that was spared, and the cut-off.
    asked: Vec<(Option<Uuid>, i64)>,
    /// Sessions that ended as such.
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
            asked: Vec::new(),
            ended: Vec::new(),
            now,
            random: fastrand::Rng::with_seed(seed),
        }
    }

    pub(super) fn user(&self) -> Uuid {
        self.sessions[0].sub
    }

    /// One more logout, `others` mostly; it may be earlier than those before.
    pub(super) async fn log_out(&mut self, store: &dyn Store) {
        let asking = self.sessions[self.random.usize(..SESSIONS)].clone();
        let at = self.now + self.random.i64(0..40);
        let scope = if self.random.u8(..5) == 0 { Scope::Global } else { Scope::Others };
        let spared = (scope == Scope::Others).then_some(asking.session_id);
        if scope == Scope::Global {
            self.ended.push(asking.session_id);
        }
        self.asked.push((spared, at));
        if self.random.bool() {
            log_out(store, &asking, scope, at).await;
        } else {
            log_out_unconfirmed(store, &asking, scope, at).await;
        }
    }

    fn is_refused(&self, claims: &Claims) -> bool {
        let iat = claims.iat.unwrap_or(i64::MIN);
        let cut_off = |(spared, before): &(Option<Uuid>, i64)| {
            *spared != Some(claims.session_id) && iat <= *before
        };
        self.ended.contains(&claims.session_id) || self.asked.iter().any(cut_off)
    }

    /// Asks about tokens of each session, and of one that asked for nothing, at each second.
    pub(super) async fn assert_refused_by(&self, store: &dyn Store) {
        let silent = session_of(self.user(), self.now);
        for session in self.sessions.iter().chain([&silent]) {
            for iat in (-1..42).map(|n| Some(self.now + n)).chain([None]) {
                let token = Claims { iat, ..session.clone() };
                let refused = refuses(store, &token, self.now).await;
                assert_eq!(refused, self.is_refused(&token), "{token:?} of {:?}", self.asked);
            }
        }
    }
}

pub(super) async fn two_lines_say_the_same_as_all_that_a_user_asked_for(place: &Place) {
    let (store, now) = (place.open().await, now());
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

pub(super) async fn a_cut_off_refuses_its_own_second(place: &Place) {
    let (store, now) = (place.open().await, now());
    for scope in [Scope::Global, Scope::Others] {
        let asking = session_of(Uuid::new_v4(), now);
        log_out(&*store, &asking, scope, now).await;
        let other = |iat| session_of(asking.sub, iat);
        assert!(refuses(&*store, &other(now), now).await, "{scope:?}");
        assert!(!refuses(&*store, &other(now + 1), now).await, "{scope:?}");
        assert_eq!(refuses(&*store, &asking, now).await, scope == Scope::Global);
    }
}
