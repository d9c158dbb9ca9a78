//! Section 9 of the contract: a gateway that is killed at any moment must keep every promise of its
//! responses.

mod full_redis;
mod logouts;

use std::{
    collections::HashSet,
    process::{Command, ExitStatus},
    sync::Arc,
    time::{Duration, Instant},
};

use gotrue_mock::Tokens;
use serde_json::{Value, json};
use tokio::{
    sync::{Mutex, Semaphore},
    task::JoinHandle,
};
use uuid::Uuid;

use self::logouts::{FinalState, Kind, Logout};
use crate::harness::{GatewayProcess, RedisServer, Request, TestApp, eventually};

const CONCURRENT_LOGOUTS: usize = 16;
const KILLS: usize = 6;
/// The number of requests that the queue's worker sends concurrently.
const WORKER_CONCURRENCY: usize = 4;
/// The longest wait for an empty queue: the leases of a killed gateway must end before its entries are
/// retried.
const TIMEOUT: Duration = Duration::from_mins(2);

async fn start_gateway(app: &TestApp, store: &str) -> GatewayProcess {
    let environment = [
        ("GATEWAY_STORE", store),
        ("GATEWAY_UPSTREAM_TIMEOUT", "500ms"),
        ("GATEWAY_ADMIN_BIND", "127.0.0.1:0"),
        ("RUST_LOG", "error,logout_gateway::gateway=info"),
    ];
    // Without the JWT secret the gateway must ask GoTrue to verify HS256 tokens.
    let mut command = Command::new("env");
    command.args(["-u", "SUPABASE_JWT_SECRET", env!("CARGO_BIN_EXE_logout-gateway")]);
    GatewayProcess::start_with_command(command, app, &environment).await
}

async fn wait_for_exit(process: &mut GatewayProcess) -> ExitStatus {
    let begun = Instant::now();
    loop {
        if let Some(status) = process.exit_status() {
            return status;
        }
        assert!(begun.elapsed() < TIMEOUT, "the gateway does not end");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Logouts that run while the test kills the gateway and Redis.
struct RunningLogouts(Vec<JoinHandle<(Logout, Option<u16>)>>);

impl RunningLogouts {
    fn start(logouts: Vec<Logout>, gateway: &Arc<Mutex<GatewayProcess>>) -> Self {
        let permits = Arc::new(Semaphore::new(CONCURRENT_LOGOUTS));
        let spawn = |mut logout: Logout| {
            let (gateway, permits) = (gateway.clone(), permits.clone());
            tokio::spawn(async move {
                let _permit = permits.acquire_owned().await.unwrap();
                let status = logout.send(&gateway).await;
                (logout, status)
            })
        };
        Self(logouts.into_iter().map(spawn).collect())
    }

    fn answered_count(&self) -> usize {
        self.0.iter().filter(|one| one.is_finished()).count()
    }

    /// Waits until some more logouts have a response.
    async fn wait_for_more(&self) {
        let enough = self.answered_count() + 20 + fastrand::usize(..60);
        let enough = enough.min(self.0.len());
        eventually("more logouts are answered", async || self.answered_count() >= enough).await;
    }

    async fn finish(self) -> Vec<(Logout, Option<u16>)> {
        let mut all = Vec::new();
        for one in self.0 {
            all.push(one.await.unwrap());
        }
        all
    }
}

/// Makes GoTrue fail logouts and refreshes with a random status. With 502 and 503, GoTrue may carry out the
/// request before it fails.
fn make_gotrue_fail(app: &TestApp) {
    let status = [500, 502, 503, 429][fastrand::usize(..4)];
    let effect = matches!(status, 502 | 503) && fastrand::bool();
    for operation in ["logout", "token"] {
        app.inject_fault(
            json!({"operation": operation, "kind": "status", "status": status, "effect": effect}),
        );
    }
}

async fn admin_json(gateway: &GatewayProcess, target: &str) -> Value {
    Request::new(gateway.admin_address.unwrap(), "GET", target).send().await.json()
}

fn session_ids(lines: &Value) -> HashSet<Uuid> {
    let ids = lines.as_array().unwrap().iter().map(|line| line["session_id"].as_str());
    ids.map(|id| id.unwrap().parse().unwrap()).collect()
}

/// Waits until the queue holds only logouts of banned users; returns the ids of their sessions.
async fn wait_for_queue(gateway: &GatewayProcess, all: &[(Logout, Option<u16>)]) -> HashSet<Uuid> {
    let banned = all.iter().filter(|(logout, _)| logout.kind == Kind::OfBannedUser);
    let banned: HashSet<Uuid> = banned.map(|(logout, _)| logout.own.session_id).collect();
    let begun = Instant::now();
    loop {
        let queued = session_ids(&admin_json(gateway, "/queue").await["entries"]);
        if queued.is_subset(&banned) {
            return queued;
        }
        assert!(begun.elapsed() < TIMEOUT, "the queue does not become empty");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Asserts that the gateway gave up only entries that were queued with an old token, and entries whose logout
/// is done. If a gateway is killed between GoTrue's answer and the removal of the entry, the next try finds
/// that the session does not exist, and gives the entry up although the logout is done.
async fn assert_only_expected_entries_are_given_up(
    app: &TestApp,
    gateway: &GatewayProcess,
    all: &[(Logout, Option<u16>)],
    kills: usize,
) {
    let failures = admin_json(gateway, "/failures").await["failures"].clone();
    let failures = failures.as_array().unwrap().iter();
    let given_up = failures.filter(|f| f["outcome"] == "gave-up");
    let logout_of = |failure: &Value| {
        let session = failure["session_id"].as_str().unwrap();
        &all.iter().find(|(l, _)| l.own.session_id.to_string() == session).unwrap().0
    };
    let (old, given_up): (Vec<&Value>, Vec<_>) =
        given_up.partition(|failure| logout_of(failure).kind == Kind::OldToken);
    assert!(old.iter().all(|failure| failure["reason"] == "expired"), "{old:?}");
    assert!(given_up.len() <= kills * WORKER_CONCURRENCY, "{given_up:?}");
    for failure in given_up {
        let scope_and_reason =
            (failure["scope"].as_str().unwrap(), failure["reason"].as_str().unwrap());
        // GoTrue refreshes no token of an ended session, so the reason `expired` does not prove that the
        // session lives.
        assert!(
            [("global", "not_found"), ("local", "expired")].contains(&scope_and_reason),
            "{failure}"
        );
        assert!(logout_of(failure).is_done(app), "{failure}");
    }
}

/// Asserts that logouts with forged tokens left no entry in the failure log, and that `verify` accepts the
/// real sessions.
async fn assert_attacks_left_nothing(gateway: &GatewayProcess, all: &[(Logout, Option<u16>)]) {
    let failed = session_ids(&admin_json(gateway, "/failures").await["failures"]);
    for (logout, _) in all.iter().filter(|(logout, _)| logout.kind == Kind::ForgedHs256) {
        assert!(!failed.contains(&logout.own.session_id), "{}", logout.own.session_id);
        for tokens in [&logout.own, &logout.other] {
            assert_eq!(verify(gateway, tokens).await, 200, "{}", tokens.session_id);
        }
    }
}

async fn verify(gateway: &GatewayProcess, tokens: &Tokens) -> u16 {
    gateway.request("GET", "/api/auth/verify").bearer(&tokens.access_token).send().await.status
}

/// Kills and restarts the gateway while logouts run and GoTrue fails and recovers, and kills Redis once. Then
/// each answered logout must have had the effect that its response promised, and no other effect.
async fn run_with_random_kills(store: &str, redis: Option<&RedisServer>) {
    let app = logouts::start_app().await;
    let logouts = logouts::prepare_all(&app).await;
    let gateway = Arc::new(Mutex::new(start_gateway(&app, store).await));
    let running = RunningLogouts::start(logouts, &gateway);
    for kill in 0..KILLS {
        app.mock.clear_faults();
        if kill % 2 == 0 {
            make_gotrue_fail(&app);
        }
        running.wait_for_more().await;
        if let Some(redis) = redis.filter(|_| kill == 2) {
            redis.kill();
            redis.restart().await;
            running.wait_for_more().await;
        }
        let mut process = gateway.lock().await;
        process.signal("KILL");
        // Wait for the end of the process, because only then another process can open the store's file.
        let ended = wait_for_exit(&mut process).await;
        assert_eq!(ended.code(), None, "the signal ended the process");
        let restarted = start_gateway(&app, store).await;
        *process = restarted;
    }
    app.mock.clear_faults();
    let all = running.finish().await;
    let process = Arc::into_inner(gateway).unwrap().into_inner();
    let queued = wait_for_queue(&process, &all).await;
    for kind in Kind::ALL {
        let of_kind = all.iter().filter(|(logout, _)| logout.kind == kind);
        let mut statuses: Vec<Option<u16>> = of_kind.map(|(_, status)| *status).collect();
        statuses.sort_unstable();
        let counts = statuses.chunk_by(|a, b| a == b).map(|equal| (equal[0], equal.len()));
        println!("{kind:?}: {:?}", counts.collect::<Vec<_>>());
        assert!(statuses.iter().any(Option::is_some), "{kind:?}: no logout was answered");
    }
    assert!(all.iter().any(|(_, status)| status.is_none()), "no kill interrupted a logout");
    assert!(all.iter().any(|(_, status)| *status == Some(202)), "no logout was queued");
    let final_state =
        FinalState { calls: app.mock.calls(), queued, store_was_down: redis.is_some() };
    for (logout, status) in &all {
        logout.assert_truthful(&app, *status, &final_state);
    }
    let kills = KILLS + usize::from(redis.is_some());
    assert_only_expected_entries_are_given_up(&app, &process, &all, kills).await;
    assert_attacks_left_nothing(&process, &all).await;
    process.stop();
}

#[tokio::test]
async fn answered_logouts_survive_kills_of_the_gateway_with_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let store = format!("file:{}", directory.path().join("store").display());
    run_with_random_kills(&store, None).await;
}

#[tokio::test]
async fn answered_logouts_survive_kills_of_the_gateway_and_of_redis() {
    let redis = RedisServer::start().await;
    run_with_random_kills(&redis.url(), Some(&redis)).await;
}
