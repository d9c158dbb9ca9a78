//! What ought to be: users and sessions as the contract has them, without a line of the gateway's.

use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;
use serde_json::{Value, json};

use crate::harness::ROUTES;

/// How long an access token of this world is good for, in seconds.
pub(super) const LIFETIME: i64 = 600;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Local,
    Others,
    Global,
}

impl Scope {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Others => "others",
            Self::Global => "global",
        }
    }
}

/// What a logout shows, and what is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Showing {
    Bearer,
    Cookie,
    TamperedBearer,
    TamperedCookie,
    CookieWithoutCsrf,
    CookieWithWrongCsrf,
    CookieFromForeignPage,
    TwoBearers,
    UnknownScope,
    Nothing,
}

impl Showing {
    pub(super) fn by_cookie(self) -> bool {
        use Showing as S;
        matches!(
            self,
            S::Cookie
                | S::TamperedCookie
                | S::CookieWithoutCsrf
                | S::CookieWithWrongCsrf
                | S::CookieFromForeignPage
        )
    }

    /// The status that refuses it, whatever the session.
    fn refused(self) -> Option<u16> {
        match self {
            Self::Bearer | Self::Cookie => None,
            Self::TamperedBearer | Self::TamperedCookie | Self::Nothing => Some(401),
            Self::CookieWithoutCsrf | Self::CookieWithWrongCsrf | Self::CookieFromForeignPage => {
                Some(403)
            }
            Self::TwoBearers | Self::UnknownScope => Some(400),
        }
    }
}

/// One step; users and sessions by their number.
#[derive(Clone, Debug)]
pub(super) enum Step {
    SignUp,
    SignInAgain { user: usize },
    Refresh { session: usize },
    Logout { session: usize, route: &'static str, scope: Scope, showing: Showing },
    Verify { session: usize },
    Fault(Value),
    FaultsPass,
    Ban { user: usize },
    DeleteUser { user: usize },
    DeleteSession { session: usize },
    RotateKeys,
    Pass { seconds: i64 },
}

#[derive(Clone, Debug)]
pub(super) struct User {
    banned: bool,
    gone: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) user: usize,
    pub(super) alive: bool,
    /// When its newest access token was issued.
    issued_at: i64,
}

/// What a logout must answer and do.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    pub(super) status: u16,
    pub(super) outcome: Option<&'static str>,
}

/// The reference.
#[derive(Clone, Debug, Default)]
pub(super) struct World {
    pub(super) users: Vec<User>,
    pub(super) sessions: Vec<Session>,
    now: i64,
    /// GoTrue may answer anything.
    faulty: bool,
    /// It might have when a logout was asked for, or the gateway knew too little: nobody knows who lives.
    pub(super) doubtful: bool,
    /// The gateway may learn of new keys only half a minute later.
    rotated: bool,
    /// Of the last step, where it was a logout whose end is certain.
    pub(super) expected: Option<Expected>,
}

impl World {
    pub(super) fn expired(&self, session: usize) -> bool {
        self.sessions[session].issued_at + LIFETIME <= self.now
    }

    /// Whether it is certain what happens.
    pub(super) fn certain(&self) -> bool {
        !self.faulty && !self.doubtful && !self.rotated
    }

    fn begin_session(&mut self, user: usize) {
        self.sessions.push(Session { user, alive: true, issued_at: self.now });
    }

    fn end(&mut self, user: usize, which: impl Fn(usize) -> bool) {
        for (n, session) in self.sessions.iter_mut().enumerate() {
            session.alive &= session.user != user || !which(n);
        }
    }

    /// Sections 3 and 4 of the contract, for a GoTrue that works.
    fn logout(&mut self, session: usize, scope: Scope, showing: Showing) -> Expected {
        let refused = |status| Expected { status, outcome: None };
        if let Some(status) = showing.refused() {
            return refused(status);
        }
        let expired = self.expired(session);
        if expired && showing == Showing::Bearer {
            return refused(401);
        }
        let Session { user, alive, .. } = self.sessions[session];
        let User { banned, gone } = self.users[user];
        let (status, outcome) = if gone && (!expired || scope == Scope::Local) {
            (200, "already-ended")
        } else if !alive {
            if scope == Scope::Local { (200, "already-ended") } else { (401, "failed") }
        } else if banned {
            (500, "failed")
        } else {
            self.end(user, |n| match scope {
                Scope::Local => n == session,
                Scope::Others => n != session,
                Scope::Global => true,
            });
            (200, "revoked")
        };
        Expected { status, outcome: Some(outcome) }
    }
}

fn fault() -> impl Strategy<Value = Value> {
    let kind = prop_oneof![
        4 => prop::sample::select(vec![200, 401, 403, 429, 500, 502, 503, 504])
            .prop_map(|status| json!({"kind": "status", "status": status})),
        2 => prop::sample::select(vec!["reset", "garbage", "truncate", "oversize", "redirect"])
            .prop_map(|kind| json!({"kind": kind})),
        1 => Just(json!({"kind": "hang"})),
    ];
    let operation = prop::sample::select(vec!["logout", "logout", "token", "jwks"]);
    (kind, operation, 1..4, any::<bool>()).prop_map(|(mut fault, operation, times, effect)| {
        fault["operation"] = json!(operation);
        fault["times"] = json!(times);
        // What never reaches GoTrue has no effect there.
        fault["effect"] = json!(effect && operation != "jwks");
        fault
    })
}

fn logout(session: usize) -> impl Strategy<Value = Step> {
    use Showing as S;
    let scope = prop::sample::select(vec![Scope::Local, Scope::Others, Scope::Global]);
    let showing = prop_oneof![
        4 => Just(S::Bearer),
        8 => Just(S::Cookie),
        4 => prop::sample::select(vec![
            S::TamperedBearer,
            S::TamperedCookie,
            S::CookieWithoutCsrf,
            S::CookieWithWrongCsrf,
            S::CookieFromForeignPage,
            S::TwoBearers,
            S::UnknownScope,
            S::Nothing,
        ]),
    ];
    (prop::sample::select(ROUTES.to_vec()), scope, showing)
        .prop_map(move |(route, scope, showing)| Step::Logout { session, route, scope, showing })
}

impl ReferenceStateMachine for World {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        let user = User { banned: false, gone: false };
        let mut world = Self { users: vec![user; 2], ..Self::default() };
        for user in [0, 0, 1] {
            world.begin_session(user);
        }
        Just(world).boxed()
    }

    fn transitions(world: &Self) -> BoxedStrategy<Step> {
        let (user, session) = (0..world.users.len(), 0..world.sessions.len());
        prop_oneof![
            1 => Just(Step::SignUp),
            3 => user.clone().prop_map(|user| Step::SignInAgain { user }),
            2 => session.clone().prop_map(|session| Step::Refresh { session }),
            12 => session.clone().prop_flat_map(logout),
            4 => session.clone().prop_map(|session| Step::Verify { session }),
            2 => fault().prop_map(Step::Fault),
            3 => Just(Step::FaultsPass),
            1 => user.clone().prop_map(|user| Step::Ban { user }),
            1 => user.prop_map(|user| Step::DeleteUser { user }),
            1 => session.prop_map(|session| Step::DeleteSession { session }),
            1 => Just(Step::RotateKeys),
            3 => prop::sample::select(vec![1, 1, 59, LIFETIME - 1, LIFETIME, 8 * 86_400])
                .prop_map(|seconds| Step::Pass { seconds }),
        ]
        .boxed()
    }

    fn preconditions(world: &Self, step: &Step) -> bool {
        match step {
            Step::SignInAgain { user } => {
                world.users.get(*user).is_some_and(|user| !user.gone && !user.banned)
            }
            Step::Ban { user } | Step::DeleteUser { user } => {
                world.users.get(*user).is_some_and(|user| !user.gone)
            }
            Step::Refresh { session } => {
                let known = world.sessions.get(*session).filter(|session| session.alive);
                !world.faulty
                    && !world.doubtful
                    && known.is_some_and(|session| !world.users[session.user].banned)
            }
            Step::Logout { session, .. } | Step::Verify { session } => {
                *session < world.sessions.len()
            }
            Step::DeleteSession { session } => {
                world.sessions.get(*session).is_some_and(|session| session.alive)
            }
            Step::SignUp
            | Step::Fault(_)
            | Step::FaultsPass
            | Step::RotateKeys
            | Step::Pass { .. } => true,
        }
    }

    fn apply(mut world: Self, step: &Step) -> Self {
        world.expected = None;
        match *step {
            Step::SignUp => {
                world.users.push(User { banned: false, gone: false });
                world.begin_session(world.users.len() - 1);
            }
            Step::SignInAgain { user } => world.begin_session(user),
            Step::Refresh { session } => world.sessions[session].issued_at = world.now,
            Step::Logout { session, scope, showing, .. } => {
                if world.certain() {
                    world.expected = Some(world.logout(session, scope, showing));
                }
                world.doubtful |= world.faulty || world.rotated;
            }
            Step::Verify { .. } => {}
            Step::Fault(_) => world.faulty = true,
            Step::FaultsPass => world.faulty = false,
            Step::Ban { user } => world.users[user].banned = true,
            Step::DeleteUser { user } => {
                world.users[user].gone = true;
                world.end(user, |_| true);
            }
            Step::DeleteSession { session } => world.sessions[session].alive = false,
            Step::RotateKeys => world.rotated = true,
            Step::Pass { seconds } => world.now += seconds,
        }
        world
    }
}
