//! The gateway and its mock under the steps of a history.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use gotrue_mock::{TEST_SECRET, Tokens};
use logout_gateway::internals::csrf::Csrf;
use proptest_state_machine::StateMachineTest;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::{self, Runtime};
use uuid::Uuid;

use super::{
    list::{Entered, Listed},
    project::{Judge, MOST_HEAD},
    promises::{Promise, worked_off},
    step::{Scope, Step},
    world::{Fate, LIFETIME, World},
};
use crate::harness::{Connection, FaultProxy, Request, Setup, TestApp, eventually};

pub(super) struct Session {
    pub(super) user: usize,
    pub(super) tokens: Tokens,
    issued_at: i64,
    /// When GoTrue may have vouched for the token the last time.
    vouched: Option<Instant>,
}

/// How long the gateway may go by GoTrue's word about a token, and a little more.
const VOUCHED_FOR: Duration = Duration::from_secs(11);

pub(super) struct Gateway {
    pub(super) runtime: Runtime,
    pub(super) app: TestApp,
    /// The proxy in front of GoTrue, where there is one.
    _proxy: Option<FaultProxy>,
    /// Of the store; it outlives the test app.
    _directory: TempDir,
    /// Mints as the gateway does, whatever GoTrue says meanwhile.
    pub(super) csrf: Csrf,
    users: Vec<Uuid>,
    pub(super) sessions: Vec<Session>,
    pub(super) list: Listed,
    pub(super) promises: Vec<Promise>,
    /// Whose clients hung up while GoTrue failed: they may die at any time.
    hung_up: HashSet<usize>,
    /// Ids of requests that must leave nothing behind.
    pub(super) without_trace: HashSet<String>,
    requests: usize,
    has_queue: bool,
}

impl StateMachineTest for Gateway {
    type SystemUnderTest = Self;
    type Reference = World;

    fn init_test(world: &World) -> Self {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let setup = Setup::new().token_lifetime(LIFETIME.unsigned_abs());
        let mut setup = setup
            .algorithm(world.project.algorithm())
            .flags(&[("upstream-timeout", "2s"), ("admin-bind", "127.0.0.1:0")]);
        if world.project.judge == Judge::Secret {
            setup = setup.flag("supabase-jwt-secret", TEST_SECRET);
        }
        if world.project.durable {
            let store = format!("file:{}", directory.path().join("store").display());
            setup = setup.flag("store", &store);
        }
        let proxy = world.project.behind_proxy.then(FaultProxy::start);
        let app = runtime.block_on(async {
            let Some(proxy) = &proxy else { return setup.start().await };
            proxy.limit_request_heads(MOST_HEAD);
            proxy.start_app(setup).await
        });
        let config = Setup::new().flag("supabase-url", "http://127.0.0.1").config();
        let mut gateway = Self {
            app,
            _proxy: proxy,
            runtime,
            _directory: directory,
            csrf: Csrf::new(&config).unwrap(),
            users: Vec::new(),
            sessions: Vec::new(),
            list: Listed::default(),
            promises: Vec::new(),
            hung_up: HashSet::new(),
            without_trace: HashSet::new(),
            requests: 0,
            has_queue: world.project.durable,
        };
        world.users.iter().for_each(|_| gateway.sign_up());
        for session in &world.sessions {
            gateway.sign_in(session.user);
        }
        gateway
    }

    fn apply(mut gateway: Self, world: &World, step: Step) -> Self {
        match step {
            Step::SignUp => {
                gateway.sign_up();
                gateway.sign_in(gateway.users.len() - 1);
            }
            Step::SignInAgain { user } => gateway.sign_in(user),
            Step::Refresh { session } => gateway.refresh(session),
            Step::Logout { session, route, scope, showing } => {
                gateway.logout(world, session, route, scope, showing);
            }
            Step::HangUp { session } => gateway.hang_up(world, session),
            Step::Attack { victim, attack, scope } => gateway.attack(world, victim, attack, scope),
            Step::Flood { session } => gateway.flood(world, session),
            Step::Verify { session } => gateway.look_at(world, session),
            Step::Fault(fault) => gateway.app.inject_fault(fault),
            Step::FaultsPass => gateway.app.mock.clear_faults(),
            Step::Ban { user } => assert!(gateway.app.mock.ban_user(gateway.users[user])),
            Step::DeleteUser { user } => {
                assert!(gateway.app.mock.delete_user(gateway.users[user]));
            }
            Step::DeleteSession { session } => {
                gateway.meddle_with(gateway.sessions[session].user);
                let id = gateway.sessions[session].tokens.session_id;
                let _ = gateway.app.mock.delete_session(id);
            }
            Step::RotateKeys => gateway.app.mock.rotate_keys().unwrap(),
            Step::Restart => gateway.restart(world),
            Step::Pass { seconds } => gateway.app.advance_time(seconds),
        }
        gateway
    }

    fn check_invariants(gateway: &Self, world: &World) {
        for (n, session) in world.sessions.iter().enumerate() {
            if session.fate != Fate::Unknown {
                assert_eq!(gateway.alive(n), session.fate == Fate::Alive, "session {n}");
            }
        }
        gateway.assert_promises();
        gateway.assert_bounds();
    }

    fn teardown(mut gateway: Self, _: World) {
        if !gateway.promises.is_empty() {
            gateway.app.mock.clear_faults();
            gateway.runtime.block_on(worked_off(&mut gateway.app));
            gateway.assert_promises();
        }
        gateway.assert_bounds();
    }
}

impl Gateway {
    fn sign_up(&mut self) {
        let email = format!("{}@example.com", Uuid::new_v4());
        self.users.push(self.app.mock.create_user(&email, "password"));
    }

    fn sign_in(&mut self, user: usize) {
        let tokens = self.app.mock.sign_in(self.users[user]).unwrap();
        let issued_at = self.app.clock.now();
        self.sessions.push(Session { user, tokens, issued_at, vouched: None });
    }

    /// As the app does it.
    fn refresh(&mut self, session: usize) {
        let address = self.app.mock.url().trim_start_matches("http://").parse().unwrap();
        let request = Request::new(address, "POST", "/auth/v1/token?grant_type=refresh_token");
        let Session { tokens, issued_at, vouched, .. } = &mut self.sessions[session];
        let body = json!({"refresh_token": tokens.refresh_token}).to_string();
        let reply = self.runtime.block_on(request.body(body).send());
        assert_eq!(reply.status, 200, "{}", reply.text());
        let word = |name: &str| reply.json()[name].as_str().unwrap().to_owned();
        tokens.access_token = word("access_token");
        tokens.refresh_token = word("refresh_token");
        *issued_at = self.app.clock.now();
        *vouched = None;
    }

    /// An id that no other request of this history has.
    pub(super) fn request_id(&mut self) -> String {
        self.requests += 1;
        format!("request-{}", self.requests)
    }

    /// Whether the gateway may go by what GoTrue said of the session's token a while ago.
    pub(super) fn may_be_vouched(&self, session: usize) -> bool {
        self.sessions[session].vouched.is_some_and(|at| at.elapsed() < VOUCHED_FOR)
    }

    /// Whether the gateway may be at work on a logout that was answered, or whose client is gone.
    pub(super) fn is_at_work(&self) -> bool {
        !self.promises.is_empty() || !self.hung_up.is_empty()
    }

    /// How many lines the revocation list has.
    pub(super) fn revocations(&self) -> usize {
        let admin = self.app.admin_address.unwrap();
        let reply = self.runtime.block_on(Request::new(admin, "GET", "/metrics").send());
        let text = reply.text();
        let line = text.lines().find(|line| line.starts_with("logout_gateway_revocations "));
        line.unwrap().rsplit(' ').next().unwrap().parse().unwrap()
    }

    /// Of queue or failure log, the lines under that member.
    pub(super) fn lines(&self, target: &str, member: &str) -> Vec<Value> {
        let report = self.runtime.block_on(self.app.admin_json(target));
        report[member].as_array().unwrap().clone()
    }

    pub(super) fn alive(&self, session: usize) -> bool {
        self.app.is_alive(&self.sessions[session].tokens)
    }

    pub(super) fn living(&self) -> HashSet<usize> {
        (0..self.sessions.len()).filter(|n| self.alive(*n)).collect()
    }

    /// Whether it may die at any time by what was asked for earlier.
    pub(super) fn is_awaited(&self, session: usize) -> bool {
        let user = self.sessions[session].user;
        let mut promises = self.promises.iter().filter(|promise| promise.user == user);
        self.hung_up.contains(&session)
            || promises.any(|promise| promise.scope.names(promise.session, session))
    }

    pub(super) fn is_listed(&self, session: usize) -> Option<bool> {
        let Session { user, issued_at, .. } = self.sessions[session];
        self.list.refuses(user, session, issued_at, self.app.clock.now())
    }

    /// A session of theirs may end by other means than by what waits.
    pub(super) fn meddle_with(&mut self, user: usize) {
        let theirs = self.promises.iter_mut().filter(|promise| promise.user == user);
        theirs.for_each(Promise::meddled);
    }

    /// While GoTrue is asked, or as soon as the request is sent.
    fn hang_up(&mut self, world: &World, session: usize) {
        let Session { user, tokens, .. } = &self.sessions[session];
        let (user, tokens) = (*user, tokens.clone());
        self.meddle_with(user);
        self.runtime.block_on(async {
            let asked = self.app.gotrue_calls("logout").len();
            let request = self.app.post("/logout").bearer(&tokens.access_token);
            let mut connection = Connection::open(self.app.address).await;
            if world.fails("logout") {
                connection.write(&request.bytes(false)).await;
                return;
            }
            let late = json!({"operation": "logout", "kind": "delay", "seconds": 0.05, "times": 1});
            self.app.inject_fault(late);
            connection.write(&request.bytes(false)).await;
            let calls = async || self.app.gotrue_calls("logout").len() > asked;
            eventually("GoTrue is asked", calls).await;
            connection.reset();
        });
        let at = self.app.clock.now();
        self.list.enter_later(Entered { user, session, scope: Scope::Local, at, certain: false });
        if world.sessions[session].fate == Fate::Dead {
            let dead = async || !self.app.is_alive(&tokens);
            self.runtime.block_on(eventually("the session is dead", dead));
        } else {
            self.hung_up.insert(session);
        }
    }

    fn look_at(&mut self, world: &World, session: usize) {
        let tokens = &self.sessions[session].tokens;
        let ask = |path: &str| {
            let request = self.app.get(path).bearer(&tokens.access_token);
            self.runtime.block_on(request.send()).status
        };
        let (let_in, given) = (ask("/api/auth/verify"), ask("/api/auth/csrf"));
        if let_in == 200 || given == 200 {
            self.sessions[session].vouched = Some(Instant::now());
        }
        match (world.let_in, self.is_listed(session)) {
            (Some(false), _) | (Some(true), Some(true)) => assert_eq!(let_in, 401, "{session}"),
            (Some(true), Some(false)) => assert_eq!(let_in, 200, "{session}"),
            (_, listed) => {
                assert!(matches!(let_in, 200 | 401 | 503), "{let_in}");
                assert!(listed != Some(true) || let_in != 200, "{session}");
            }
        }
        match world.given_csrf {
            Some(true) => assert_eq!(given, 200, "{session}"),
            Some(false) => assert_eq!(given, 401, "{session}"),
            None => assert!(matches!(given, 200 | 401 | 429 | 500), "{given}"),
        }
    }

    /// What is not durable is forgotten, and the key set is fetched.
    fn restart(&mut self, world: &World) {
        self.runtime.block_on(async {
            self.app.restart_gateway(&[]);
            let ready = async || self.app.get("/readyz").send().await.status == 200;
            eventually("ready", ready).await;
        });
        self.sessions.iter_mut().for_each(|session| session.vouched = None);
        if !world.project.durable {
            self.list = Listed::default();
            // Nothing of it is left to be done.
            self.hung_up.clear();
        }
        for n in (0..self.sessions.len()).filter(|n| self.is_listed(*n) == Some(true)) {
            let status = self.runtime.block_on(self.app.verify(&self.sessions[n].tokens));
            assert_ne!(status, 200, "session {n} is forgotten");
        }
    }

    fn assert_promises(&self) {
        for promise in &self.promises {
            let kept = promise.is_kept(&self.app, &self.sessions);
            assert!(self.runtime.block_on(kept), "{promise:?}");
        }
    }

    /// What was not proven has left nothing, and no user more than the contract allows.
    fn assert_bounds(&self) {
        let most = self.sessions.len() + 2 * self.users.len();
        assert!(self.revocations() <= most, "{} of {most}", self.revocations());
        let failures = self.lines("/failures", "failures");
        let queue = if self.has_queue { self.lines("/queue", "entries") } else { Vec::new() };
        for line in failures.iter().chain(&queue) {
            let id = line["request_id"].as_str().unwrap();
            assert!(!self.without_trace.contains(id), "{line}");
        }
        for failure in &failures {
            assert_ne!(failure["outcome"], "refused", "{failure}");
        }
        let mut entries = HashSet::new();
        for entry in &queue {
            let key = (entry["session_id"].to_string(), entry["scope"].to_string());
            assert!(entries.insert(key), "twice in the queue: {entry}");
        }
    }
}
