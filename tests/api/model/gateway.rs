//! The system under test: a gateway and its GoTrue mock, to which the test applies the steps of a sequence.

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
    project::{MAX_HEAD_BYTES, VerifiedBy},
    queued_logouts::{QueuedLogout, run_queue_until_empty},
    reference::{LIFETIME, ReferenceModel, SessionState},
    revocations::ExpectedRevocations,
    step::Step,
};
use crate::harness::{FaultProxy, Request, Setup, TestApp, eventually};

pub(super) struct Session {
    pub(super) user: usize,
    pub(super) tokens: Tokens,
    pub(super) issued_at: i64,
    /// The latest time when GoTrue may have accepted the token for the gateway.
    pub(super) introspected_at: Option<Instant>,
}

/// A little longer than the time for which the gateway remembers that GoTrue accepted a token.
const INTROSPECTION_LIFETIME: Duration = Duration::from_secs(11);

pub(super) struct GatewayUnderTest {
    pub(super) runtime: Runtime,
    pub(super) app: TestApp,
    /// The proxy in front of GoTrue; `None` if the project has none.
    _proxy: Option<FaultProxy>,
    /// The directory of the store, which must exist until the test app is dropped.
    _directory: TempDir,
    /// Issues CSRF tokens with the gateway's secret, because the gateway may not issue any while GoTrue
    /// fails.
    pub(super) csrf: Csrf,
    pub(super) users: Vec<Uuid>,
    pub(super) sessions: Vec<Session>,
    pub(super) list: ExpectedRevocations,
    pub(super) queued_logouts: Vec<QueuedLogout>,
    /// Sessions whose client hung up during a logout, so that they may end at any time.
    pub(super) hung_up: HashSet<usize>,
    /// The ids of requests that must leave no entry in the queue or the failure log.
    pub(super) must_leave_no_trace: HashSet<String>,
    requests: usize,
    pub(super) has_queue: bool,
}

impl StateMachineTest for GatewayUnderTest {
    type SystemUnderTest = Self;
    type Reference = ReferenceModel;

    fn init_test(model: &ReferenceModel) -> Self {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let setup = Setup::new().token_lifetime(LIFETIME.unsigned_abs());
        let mut setup = setup
            .algorithm(model.project.algorithm())
            .flags(&[("upstream-timeout", "2s"), ("admin-bind", "127.0.0.1:0")]);
        if model.project.verified_by == VerifiedBy::Secret {
            setup = setup.flag("supabase-jwt-secret", TEST_SECRET);
        }
        if model.project.durable {
            let store = format!("file:{}", directory.path().join("store").display());
            setup = setup.flag("store", &store);
        }
        let proxy = model.project.behind_proxy.then(FaultProxy::start);
        let app = runtime.block_on(async {
            let Some(proxy) = &proxy else { return setup.start().await };
            proxy.limit_request_heads(MAX_HEAD_BYTES);
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
            list: ExpectedRevocations::default(),
            queued_logouts: Vec::new(),
            hung_up: HashSet::new(),
            must_leave_no_trace: HashSet::new(),
            requests: 0,
            has_queue: model.project.durable,
        };
        model.users.iter().for_each(|_| gateway.sign_up());
        for session in &model.sessions {
            gateway.sign_in(session.user);
        }
        gateway
    }

    fn apply(mut gateway: Self, model: &ReferenceModel, step: Step) -> Self {
        match step {
            Step::SignUp => {
                gateway.sign_up();
                gateway.sign_in(gateway.users.len() - 1);
            }
            Step::SignInAgain { user } => gateway.sign_in(user),
            Step::Refresh { session } => gateway.refresh(session),
            Step::Logout { session, route, scope, credential } => {
                gateway.logout(model, session, route, scope, credential);
            }
            Step::HangUp { session } => gateway.hang_up(model, session),
            Step::Attack { victim, attack, scope } => gateway.attack(model, victim, attack, scope),
            Step::Flood { session } => gateway.flood(model, session),
            Step::Verify { session } => gateway.verify_and_fetch_csrf(model, session),
            Step::Fault(fault) => gateway.app.inject_fault(fault),
            Step::ClearFaults => gateway.app.mock.clear_faults(),
            Step::Ban { user } => assert!(gateway.app.mock.ban_user(gateway.users[user])),
            Step::DeleteUser { user } => {
                assert!(gateway.app.mock.delete_user(gateway.users[user]));
            }
            Step::DeleteSession { session } => {
                gateway.allow_other_ends_of(gateway.sessions[session].user);
                let id = gateway.sessions[session].tokens.session_id;
                let _ = gateway.app.mock.delete_session(id);
            }
            Step::RotateKeys => gateway.app.mock.rotate_keys().unwrap(),
            Step::Restart => gateway.restart(model),
            Step::AdvanceTime { seconds } => gateway.app.advance_time(seconds),
        }
        gateway
    }

    fn check_invariants(gateway: &Self, model: &ReferenceModel) {
        for (n, session) in model.sessions.iter().enumerate() {
            if session.state != SessionState::Unknown {
                assert_eq!(gateway.alive(n), session.state == SessionState::Alive, "session {n}");
            }
        }
        gateway.assert_queued_logouts();
        gateway.assert_bounds();
    }

    fn teardown(mut gateway: Self, _: ReferenceModel) {
        if !gateway.queued_logouts.is_empty() {
            gateway.app.mock.clear_faults();
            gateway.runtime.block_on(run_queue_until_empty(&mut gateway.app));
            gateway.assert_queued_logouts();
        }
        gateway.assert_bounds();
    }
}

impl GatewayUnderTest {
    fn sign_up(&mut self) {
        let email = format!("{}@example.com", Uuid::new_v4());
        self.users.push(self.app.mock.create_user(&email, "password"));
    }

    fn sign_in(&mut self, user: usize) {
        let tokens = self.app.mock.sign_in(self.users[user]).unwrap();
        let issued_at = self.app.clock.now();
        self.sessions.push(Session { user, tokens, issued_at, introspected_at: None });
    }

    /// Refreshes the session's tokens at GoTrue, as an application does.
    fn refresh(&mut self, session: usize) {
        let address = self.app.mock.url().trim_start_matches("http://").parse().unwrap();
        let request = Request::new(address, "POST", "/auth/v1/token?grant_type=refresh_token");
        let Session { tokens, issued_at, introspected_at, .. } = &mut self.sessions[session];
        let body = json!({"refresh_token": tokens.refresh_token}).to_string();
        let reply = self.runtime.block_on(request.body(body).send());
        assert_eq!(reply.status, 200, "{}", reply.text());
        let word = |name: &str| reply.json()[name].as_str().unwrap().to_owned();
        tokens.access_token = word("access_token");
        tokens.refresh_token = word("refresh_token");
        *issued_at = self.app.clock.now();
        *introspected_at = None;
    }

    /// A request id that is unique in this sequence.
    pub(super) fn request_id(&mut self) -> String {
        self.requests += 1;
        format!("request-{}", self.requests)
    }

    /// Whether the gateway may still remember that GoTrue accepted the session's token.
    pub(super) fn may_be_introspected(&self, session: usize) -> bool {
        self.sessions[session]
            .introspected_at
            .is_some_and(|at| at.elapsed() < INTROSPECTION_LIFETIME)
    }

    /// Whether the gateway may still work on a queued logout, or on one whose client hung up.
    pub(super) fn has_pending_work(&self) -> bool {
        !self.queued_logouts.is_empty() || !self.hung_up.is_empty()
    }

    /// The number of entries in the revocation list, according to the metrics.
    pub(super) fn revocations(&self) -> usize {
        let values = self.runtime.block_on(self.metrics("logout_gateway_revocations "));
        assert_eq!(values.len(), 1, "the gauge of the revocation list");
        values[0]
    }

    /// The number of logouts that the gateway has finished.
    pub(super) async fn finished_logouts(&self) -> usize {
        self.metrics("logout_gateway_logouts_total{").await.iter().sum()
    }

    /// The values of the metrics whose lines begin with `beginning`.
    async fn metrics(&self, beginning: &str) -> Vec<usize> {
        let admin = self.app.admin_address.unwrap();
        let text = Request::new(admin, "GET", "/metrics").send().await.text();
        let lines = text.lines().filter(|line| line.starts_with(beginning));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect()
    }

    /// The list under `member` in the JSON report that the admin listener returns for `target`.
    pub(super) fn report_entries(&self, target: &str, member: &str) -> Vec<Value> {
        let report = self.runtime.block_on(self.app.admin_json(target));
        report[member].as_array().unwrap().clone()
    }

    pub(super) fn alive(&self, session: usize) -> bool {
        self.app.is_alive(&self.sessions[session].tokens)
    }

    pub(super) fn live_sessions(&self) -> HashSet<usize> {
        (0..self.sessions.len()).filter(|n| self.alive(*n)).collect()
    }

    /// Whether an earlier logout that is queued or unfinished may end the session at any time.
    pub(super) fn may_end_at_any_time(&self, session: usize) -> bool {
        let user = self.sessions[session].user;
        let mut queued_logouts = self.queued_logouts.iter().filter(|queued| queued.user == user);
        self.hung_up.contains(&session)
            || queued_logouts.any(|queued| queued.scope.includes(queued.session, session))
    }

    pub(super) fn is_listed(&self, session: usize) -> Option<bool> {
        let Session { user, issued_at, .. } = self.sessions[session];
        self.list.refuses(user, session, issued_at, self.app.clock.now())
    }

    /// Notes that something else than the queued logouts may end sessions of this user.
    pub(super) fn allow_other_ends_of(&mut self, user: usize) {
        let of_user = self.queued_logouts.iter_mut().filter(|queued| queued.user == user);
        of_user.for_each(QueuedLogout::allow_other_ends);
    }

    /// Restarts the gateway, which loses everything that is not in a store and fetches the key set again.
    fn restart(&mut self, model: &ReferenceModel) {
        self.runtime.block_on(async {
            self.app.restart_gateway(&[]);
            let ready = async || self.app.get("/readyz").send().await.status == 200;
            eventually("ready", ready).await;
        });
        self.sessions.iter_mut().for_each(|session| session.introspected_at = None);
        if !model.project.durable {
            self.list = ExpectedRevocations::default();
            // The restart has stopped the unfinished logouts, so they end no session any more.
            self.hung_up.clear();
        }
        for n in (0..self.sessions.len()).filter(|n| self.is_listed(*n) == Some(true)) {
            let status = self.runtime.block_on(self.app.verify(&self.sessions[n].tokens));
            assert_ne!(status, 200, "the revocation of session {n} is lost");
        }
    }
}
