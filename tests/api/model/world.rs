//! What ought to be: users and sessions as the contract has them, without a line of the gateway's.

use std::collections::HashSet;

use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;

use super::{
    project::{PROJECTS, Project},
    step::{Attack, Scope, Showing, Step, attack, fault, logout, pass},
};

/// How long an access token of this world is good for, in seconds.
pub(super) const LIFETIME: i64 = 600;
/// Requests of one [`Step::Flood`].
pub(super) const FLOOD: usize = 6;
/// How far the issuer's clock may be ahead.
const AHEAD: i64 = 30;

#[derive(Clone, Debug, Default)]
pub(super) struct User {
    pub(super) banned: bool,
    pub(super) gone: bool,
    /// A logout of more than one session may wait in the queue, for those that are to come, too.
    pub(super) awaited: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Alive,
    Dead,
    /// GoTrue failed when it was to end.
    Unknown,
}

#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) user: usize,
    pub(super) fate: Fate,
    /// When its newest access token was issued.
    pub(super) issued_at: i64,
    /// Which of GoTrue's keys signed that.
    pub(super) key: u32,
    /// Whether GoTrue has confirmed to the gateway that it is over, where that is certain.
    pub(super) over: Option<bool>,
}

/// What a logout must answer and do.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    pub(super) status: u16,
    pub(super) outcome: Option<&'static str>,
}

/// The reference.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) project: Project,
    pub(super) users: Vec<User>,
    pub(super) sessions: Vec<Session>,
    now: i64,
    /// Of these operations GoTrue may answer anything.
    pub(super) faulty: HashSet<String>,
    /// The key that GoTrue signs with.
    pub(super) keys: u32,
    /// The key that the gateway has, where that is certain.
    pub(super) known: Option<u32>,
    /// It fetches at most once in half a minute because of a token, and no history takes that long.
    pub(super) refetched: bool,
    /// Whether the gateway takes the token of the last step for genuine, where that is certain.
    pub(super) believed: Option<bool>,
    /// Of the last step, where it was a logout whose end is certain.
    pub(super) expected: Option<Expected>,
    /// Of the last step, where it was a look at a session: whether `verify` lets it in while it is not
    /// on the list, and whether it gets a CSRF token.
    pub(super) let_in: Option<bool>,
    pub(super) given_csrf: Option<bool>,
}

impl World {
    fn new(project: Project) -> Self {
        let mut world = Self {
            project,
            users: vec![User::default(); 2],
            sessions: Vec::new(),
            now: 0,
            faulty: HashSet::new(),
            keys: 0,
            known: Some(0),
            refetched: false,
            believed: None,
            expected: None,
            let_in: None,
            given_csrf: None,
        };
        for user in [0, 0, 1] {
            world.begin_session(user);
        }
        world
    }

    /// The same, where nothing certain is expected of each request.
    pub(super) fn clone_without_expectation(&self) -> Self {
        Self { expected: None, ..self.clone() }
    }

    pub(super) fn expired(&self, session: usize) -> bool {
        self.sessions[session].issued_at + LIFETIME <= self.now
    }

    /// The clock was set back since: the gateway does not believe it yet.
    pub(super) fn of_the_future(&self, session: usize) -> bool {
        self.sessions[session].issued_at > self.now + AHEAD
    }

    /// Whether GoTrue takes the newest token's signature for its own.
    pub(super) fn of_todays_key(&self, session: usize) -> bool {
        self.sessions[session].key == self.keys
    }

    pub(super) fn fails(&self, operation: &str) -> bool {
        self.faulty.contains(operation)
    }

    fn begin_session(&mut self, user: usize) {
        let fate = if self.users[user].awaited { Fate::Unknown } else { Fate::Alive };
        let (issued_at, key) = (self.now, self.keys);
        self.sessions.push(Session { user, fate, issued_at, key, over: Some(false) });
    }

    pub(super) fn end(&mut self, user: usize, which: impl Fn(usize) -> bool) {
        self.set(user, which, Fate::Dead);
    }

    /// The dead stay dead.
    pub(super) fn set(&mut self, user: usize, which: impl Fn(usize) -> bool, fate: Fate) {
        for (n, session) in self.sessions.iter_mut().enumerate() {
            if session.user == user && session.fate != Fate::Dead && which(n) {
                session.fate = fate;
            }
        }
    }
}

impl ReferenceStateMachine for World {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        prop::sample::select(PROJECTS.to_vec()).prop_map(Self::new).boxed()
    }

    fn transitions(world: &Self) -> BoxedStrategy<Step> {
        let (user, session) = (0..world.users.len(), 0..world.sessions.len());
        prop_oneof![
            1 => Just(Step::SignUp),
            3 => user.clone().prop_map(|user| Step::SignInAgain { user }),
            2 => session.clone().prop_map(|session| Step::Refresh { session }),
            12 => session.clone().prop_flat_map(logout),
            2 => session.clone().prop_map(|session| Step::HangUp { session }),
            4 => session.clone().prop_flat_map(attack),
            1 => session.clone().prop_map(|session| Step::Flood { session }),
            5 => session.clone().prop_map(|session| Step::Verify { session }),
            3 => fault(),
            3 => Just(Step::FaultsPass),
            1 => user.clone().prop_map(|user| Step::Ban { user }),
            1 => user.prop_map(|user| Step::DeleteUser { user }),
            1 => session.prop_map(|session| Step::DeleteSession { session }),
            1 => Just(Step::RotateKeys),
            1 => Just(Step::Restart),
            4 => pass(),
        ]
        .boxed()
    }

    fn preconditions(world: &Self, step: &Step) -> bool {
        let user = |user: &usize| world.users.get(*user).filter(|user| !user.gone);
        let session = |session: &usize| world.sessions.get(*session);
        match step {
            Step::SignInAgain { user: n } => user(n).is_some_and(|user| !user.banned),
            Step::Ban { user: n } | Step::DeleteUser { user: n } => user(n).is_some(),
            Step::Refresh { session: n } => {
                let known = session(n).filter(|session| session.fate == Fate::Alive);
                !world.fails("token")
                    && known.is_some_and(|session| !world.users[session.user].banned)
            }
            // The mock signs the larger token with its key of today.
            Step::Logout { session: n, showing, .. } => {
                session(n).is_some() && (!showing.is_large() || world.of_todays_key(*n))
            }
            Step::Verify { session: n }
            | Step::Attack { victim: n, .. }
            | Step::Flood { session: n } => session(n).is_some(),
            Step::HangUp { session: n } => session(n).is_some() && world.in_order(*n),
            Step::DeleteSession { session: n } => {
                session(n).is_some_and(|session| session.fate != Fate::Dead)
            }
            Step::Restart => !world.fails("jwks"),
            _ => true,
        }
    }

    fn apply(mut world: Self, step: &Step) -> Self {
        (world.expected, world.let_in, world.given_csrf) = (None, None, None);
        world.believed = None;
        match step {
            Step::SignUp => {
                world.users.push(User::default());
                world.begin_session(world.users.len() - 1);
            }
            Step::SignInAgain { user } => world.begin_session(*user),
            Step::Refresh { session } => {
                let (now, keys) = (world.now, world.keys);
                let session = &mut world.sessions[*session];
                (session.issued_at, session.key) = (now, keys);
            }
            Step::Logout { session, scope, showing, .. } => {
                world.expected = world.logout(*session, *scope, *showing);
            }
            Step::HangUp { session } => {
                let _ = world.logout(*session, Scope::Local, Showing::Bearer);
                // GoTrue ends it before the gateway hears of that.
                world.sessions[*session].over = None;
            }
            Step::Attack { victim, attack, .. } => {
                let before = world.believes(*victim);
                if *attack == Attack::Stale {
                    // It is signed with the key of today, of which the gateway may hear by it.
                    let _ = world.believes_key(world.keys);
                }
                let after = world.believes(*victim);
                world.believed = before.filter(|_| before == after);
            }
            Step::Flood { session } => {
                for _ in 0..FLOOD {
                    let showing = Showing::CookieWithMadeUpRefreshToken;
                    world.expected = world.logout(*session, Scope::Others, showing);
                }
            }
            Step::Verify { session } => world.looked_at(*session),
            Step::Fault(fault) => {
                world.faulty.insert(fault["operation"].as_str().unwrap().to_owned());
            }
            Step::FaultsPass => world.faulty.clear(),
            Step::Ban { user } => world.users[*user].banned = true,
            Step::DeleteUser { user } => {
                world.users[*user].gone = true;
                world.end(*user, |_| true);
            }
            Step::DeleteSession { session } => world.sessions[*session].fate = Fate::Dead,
            Step::RotateKeys => world.keys += 1,
            Step::Restart => {
                (world.known, world.refetched) = (Some(world.keys), false);
                if !world.project.durable {
                    world.sessions.iter_mut().for_each(|session| session.over = Some(false));
                }
            }
            Step::Pass { seconds } => {
                world.now += seconds;
                if *seconds > 7 * 86_400 {
                    // Lines of the list have expired.
                    let over = world.sessions.iter_mut().filter(|s| s.over == Some(true));
                    over.for_each(|session| session.over = None);
                }
            }
        }
        world
    }
}
