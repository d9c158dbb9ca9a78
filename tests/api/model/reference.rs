//! The reference model: how users and sessions must behave according to the contract, without any code of the
//! gateway.

use std::collections::HashSet;

use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;

use super::{
    project::{PROJECTS, Project},
    step::{Attack, Credential, Scope, Step, advance_time, attack, fault, logout},
};

/// The lifetime of an access token in the model, in seconds.
pub(super) const LIFETIME: i64 = 600;
/// The number of requests in one [`Step::Flood`].
pub(super) const FLOOD: usize = 6;

#[derive(Clone, Debug, Default)]
pub(super) struct User {
    pub(super) banned: bool,
    pub(super) deleted: bool,
    /// Whether a logout of several sessions may be in the queue. It may also end sessions that begin later.
    pub(super) has_queued_logout: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SessionState {
    Alive,
    Ended,
    /// A logout whose result is unknown may have ended the session.
    Unknown,
}

#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) user: usize,
    pub(super) state: SessionState,
    /// The time when the session's newest access token was issued, in seconds since the Unix epoch.
    pub(super) issued_at: i64,
    /// The number of the key that signed the session's newest access token.
    pub(super) key: u32,
    /// Whether GoTrue has confirmed to the gateway that the session has ended; `None` if the model cannot
    /// tell.
    pub(super) known_ended: Option<bool>,
}

/// The response that a logout must get according to the model.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    pub(super) status: u16,
    pub(super) outcome: Option<&'static str>,
}

/// The state of the model: GoTrue's and the gateway's.
#[derive(Clone, Debug)]
pub(super) struct ReferenceModel {
    pub(super) project: Project,
    pub(super) users: Vec<User>,
    pub(super) sessions: Vec<Session>,
    now: i64,
    /// The operations of GoTrue for which a fault is active.
    pub(super) faulty: HashSet<String>,
    /// The number of the key with which GoTrue signs.
    pub(super) gotrue_key: u32,
    /// The number of the key that the gateway has fetched; `None` if the model cannot tell.
    pub(super) gateway_key: Option<u32>,
    /// Whether a token with an unknown key has made the gateway fetch the key set. The gateway does that once
    /// in 30 seconds of real time, and no sequence takes that long.
    pub(super) refetched: bool,
    /// Whether the gateway accepts the signature of the last step's token; `None` if the model cannot tell.
    pub(super) accepts_key: Option<bool>,
    /// The response to the last step, if that step was a logout with a predictable response.
    pub(super) expected: Option<Expected>,
    /// After [`Step::Verify`]: whether `verify` accepts the session unless the session is on the revocation
    /// list, and whether the session gets a CSRF token. `None` if the model cannot tell.
    pub(super) verify_accepts: Option<bool>,
    pub(super) csrf_accepts: Option<bool>,
}

impl ReferenceModel {
    fn new(project: Project) -> Self {
        let mut model = Self {
            project,
            users: vec![User::default(); 2],
            sessions: Vec::new(),
            now: 0,
            faulty: HashSet::new(),
            gotrue_key: 0,
            gateway_key: Some(0),
            refetched: false,
            accepts_key: None,
            expected: None,
            verify_accepts: None,
            csrf_accepts: None,
        };
        for user in [0, 0, 1] {
            model.begin_session(user);
        }
        model
    }

    /// A copy of the model that predicts no response.
    pub(super) fn clone_without_expectation(&self) -> Self {
        Self { expected: None, ..self.clone() }
    }

    pub(super) fn is_expired(&self, session: usize) -> bool {
        self.sessions[session].issued_at + LIFETIME <= self.now
    }

    /// Whether GoTrue still has the key that signed the session's newest token.
    pub(super) fn is_signed_with_current_key(&self, session: usize) -> bool {
        self.sessions[session].key == self.gotrue_key
    }

    pub(super) fn fails(&self, operation: &str) -> bool {
        self.faulty.contains(operation)
    }

    fn begin_session(&mut self, user: usize) {
        let state = if self.users[user].has_queued_logout {
            SessionState::Unknown
        } else {
            SessionState::Alive
        };
        let (issued_at, key) = (self.now, self.gotrue_key);
        self.sessions.push(Session { user, state, issued_at, key, known_ended: Some(false) });
    }

    pub(super) fn end(&mut self, user: usize, which: impl Fn(usize) -> bool) {
        self.set(user, which, SessionState::Ended);
    }

    /// Sets the state of those of the user's sessions that `which` selects and that have not ended.
    pub(super) fn set(&mut self, user: usize, which: impl Fn(usize) -> bool, state: SessionState) {
        for (n, session) in self.sessions.iter_mut().enumerate() {
            if session.user == user && session.state != SessionState::Ended && which(n) {
                session.state = state;
            }
        }
    }
}

impl ReferenceStateMachine for ReferenceModel {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        prop::sample::select(PROJECTS.to_vec()).prop_map(Self::new).boxed()
    }

    fn transitions(model: &Self) -> BoxedStrategy<Step> {
        let (user, session) = (0..model.users.len(), 0..model.sessions.len());
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
            3 => Just(Step::ClearFaults),
            1 => user.clone().prop_map(|user| Step::Ban { user }),
            1 => user.prop_map(|user| Step::DeleteUser { user }),
            1 => session.prop_map(|session| Step::DeleteSession { session }),
            1 => Just(Step::RotateKeys),
            1 => Just(Step::Restart),
            4 => advance_time(),
        ]
        .boxed()
    }

    fn preconditions(model: &Self, step: &Step) -> bool {
        let user = |user: &usize| model.users.get(*user).filter(|user| !user.deleted);
        let session = |session: &usize| model.sessions.get(*session);
        match step {
            Step::SignInAgain { user: n } => user(n).is_some_and(|user| !user.banned),
            Step::Ban { user: n } | Step::DeleteUser { user: n } => user(n).is_some(),
            Step::Refresh { session: n } => {
                let live = session(n).filter(|session| session.state == SessionState::Alive);
                !model.fails("token")
                    && live.is_some_and(|session| !model.users[session.user].banned)
            }
            // The mock signs a larger token with its current key, so the session's own token must have that
            // key too.
            Step::Logout { session: n, credential, .. } => {
                session(n).is_some()
                    && (!credential.is_large() || model.is_signed_with_current_key(*n))
            }
            Step::Verify { session: n }
            | Step::Attack { victim: n, .. }
            | Step::Flood { session: n } => session(n).is_some(),
            Step::HangUp { session: n } => session(n).is_some() && model.reaches_gotrue(*n),
            Step::DeleteSession { session: n } => {
                session(n).is_some_and(|session| session.state != SessionState::Ended)
            }
            Step::Restart => !model.fails("jwks"),
            _ => true,
        }
    }

    fn apply(mut model: Self, step: &Step) -> Self {
        (model.expected, model.verify_accepts, model.csrf_accepts) = (None, None, None);
        model.accepts_key = None;
        match step {
            Step::SignUp => {
                model.users.push(User::default());
                model.begin_session(model.users.len() - 1);
            }
            Step::SignInAgain { user } => model.begin_session(*user),
            Step::Refresh { session } => {
                let (now, key) = (model.now, model.gotrue_key);
                let session = &mut model.sessions[*session];
                (session.issued_at, session.key) = (now, key);
            }
            Step::Logout { session, scope, credential, .. } => {
                model.expected = model.logout(*session, *scope, *credential);
            }
            Step::HangUp { session } => {
                let _ = model.logout(*session, Scope::Local, Credential::Bearer);
                // GoTrue may have ended the session without the gateway receiving the response.
                model.sessions[*session].known_ended = None;
            }
            Step::Attack { victim, attack, .. } => {
                let before = model.check_key(*victim);
                if *attack == Attack::Stale {
                    // GoTrue's current key signs the attack's token, so the gateway may fetch the key set.
                    let _ = model.check_key_number(model.gotrue_key);
                }
                let after = model.check_key(*victim);
                model.accepts_key = before.filter(|_| before == after);
            }
            Step::Flood { session } => {
                for _ in 0..FLOOD {
                    let credential = Credential::CookieWithMadeUpRefreshToken;
                    model.expected = model.logout(*session, Scope::Others, credential);
                }
            }
            Step::Verify { session } => model.expect_verify(*session),
            Step::Fault(fault) => {
                model.faulty.insert(fault["operation"].as_str().unwrap().to_owned());
            }
            Step::ClearFaults => model.faulty.clear(),
            Step::Ban { user } => model.users[*user].banned = true,
            Step::DeleteUser { user } => {
                model.users[*user].deleted = true;
                model.end(*user, |_| true);
            }
            Step::DeleteSession { session } => model.sessions[*session].state = SessionState::Ended,
            Step::RotateKeys => model.gotrue_key += 1,
            Step::Restart => {
                (model.gateway_key, model.refetched) = (Some(model.gotrue_key), false);
                if !model.project.durable {
                    model.sessions.iter_mut().for_each(|session| session.known_ended = Some(false));
                }
            }
            Step::AdvanceTime { seconds } => {
                model.now += seconds;
                if *seconds > 7 * 86_400 {
                    // After a week the entries of the revocation list, which say that a session has ended,
                    // have expired.
                    let sessions =
                        model.sessions.iter_mut().filter(|s| s.known_ended == Some(true));
                    sessions.for_each(|session| session.known_ended = None);
                }
            }
        }
        model
    }
}
