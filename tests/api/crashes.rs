//! Section 9 of the contract: a gateway that is killed at any moment has promised nothing that it does
//! not keep.

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

use self::logouts::{After, Kind, Logout};
use crate::harness::{GatewayProcess, RedisServer, Request, TestApp, eventually};

const AT_ONCE: usize = 16;
const KILLS: usize = 6;
/// How many a worker sends at once.
const SENT_AT_ONCE: usize = 4;
/// A lease of whoever was killed has to end first.
const PATIENCE: Duration = Duration::from_mins(2);

async fn start(app: &TestApp, store: &str) -> GatewayProcess {
    let environment = [
        ("GATEWAY_STORE", store),
        ("GATEWAY_UPSTREAM_TIMEOUT", "500ms"),
        ("GATEWAY_ADMIN_BIND", "127.0.0.1:0"),
        ("RUST_LOG", "error,logout_gateway::gateway=info"),
    ];
    // Without the secret, HS256 tokens are GoTrue's to judge.
    let mut command = Command::new("env");
    command.args(["-u", "SUPABASE_JWT_SECRET", env!("CARGO_BIN_EXE_logout-gateway")]);
    GatewayProcess::start_with_command(command, app, &environment).await
}

async fn eventually_ended(process: &mut GatewayProcess) -> ExitStatus {
    let begun = Instant::now();
    loop {
        if let Some(status) = process.exit_status() {
            return status;
        }
        assert!(begun.elapsed() < PATIENCE, "the gateway does not end");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Logouts that go on while this and that is killed.
struct Asking(Vec<JoinHandle<(Logout, Option<u16>)>>);

impl Asking {
    fn begin(logouts: Vec<Logout>, gateway: &Arc<Mutex<GatewayProcess>>) -> Self {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        let ask = |mut logout: Logout| {
            let (gateway, places) = (gateway.clone(), places.clone());
            tokio::spawn(async move {
                let _place = places.acquire_owned().await.unwrap();
                let told = logout.ask(&gateway).await;
                (logout, told)
            })
        };
        Self(logouts.into_iter().map(ask).collect())
    }

    fn answered(&self) -> usize {
        self.0.iter().filter(|one| one.is_finished()).count()
    }

    /// Waits until some more are answered.
    async fn go_on(&self) {
        let enough = self.answered() + 20 + fastrand::usize(..60);
        let enough = enough.min(self.0.len());
        eventually("some are answered", async || self.answered() >= enough).await;
    }

    async fn end(self) -> Vec<(Logout, Option<u16>)> {
        let mut all = Vec::new();
        for one in self.0 {
            all.push(one.await.unwrap());
        }
        all
    }
}

/// One way or another, for refreshing as well; perhaps after it did what it was asked for.
fn gotrue_fails(app: &TestApp) {
    let status = [500, 502, 503, 429][fastrand::usize(..4)];
    let effect = matches!(status, 502 | 503) && fastrand::bool();
    for operation in ["logout", "token"] {
        app.inject_fault(
            json!({"operation": operation, "kind": "status", "status": status, "effect": effect}),
        );
    }
}

async fn report(gateway: &GatewayProcess, target: &str) -> Value {
    Request::new(gateway.admin_address.unwrap(), "GET", target).send().await.json()
}

fn sessions(lines: &Value) -> HashSet<Uuid> {
    let ids = lines.as_array().unwrap().iter().map(|line| line["session_id"].as_str());
    ids.map(|id| id.unwrap().parse().unwrap()).collect()
}

/// Waits until nobody waits any more but who is banned; answers who does.
async fn worked_off(gateway: &GatewayProcess, all: &[(Logout, Option<u16>)]) -> HashSet<Uuid> {
    let banned = all.iter().filter(|(logout, _)| logout.kind == Kind::OfBannedUser);
    let banned: HashSet<Uuid> = banned.map(|(logout, _)| logout.own.session_id).collect();
    let begun = Instant::now();
    loop {
        let waiting = sessions(&report(gateway, "/queue").await["entries"]);
        if waiting.is_subset(&banned) {
            return waiting;
        }
        assert!(begun.elapsed() < PATIENCE, "the queue does not end");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A gateway that is killed between GoTrue's answer and the removal from the queue may find the session gone
/// the next time: it gives the entry up loudly, though it is done. Besides, nothing is given up but what
/// was queued with an old token.
async fn assert_nothing_is_given_up(
    app: &TestApp,
    gateway: &GatewayProcess,
    all: &[(Logout, Option<u16>)],
    kills: usize,
) {
    let failures = report(gateway, "/failures").await["failures"].clone();
    let failures = failures.as_array().unwrap().iter();
    let given_up = failures.filter(|f| f["outcome"] == "gave-up");
    let of = |failure: &Value| {
        let session = failure["session_id"].as_str().unwrap();
        &all.iter().find(|(l, _)| l.own.session_id.to_string() == session).unwrap().0
    };
    let (old, given_up): (Vec<&Value>, Vec<_>) =
        given_up.partition(|failure| of(failure).kind == Kind::OldToken);
    assert!(old.iter().all(|failure| failure["reason"] == "expired"), "{old:?}");
    assert!(given_up.len() <= kills * SENT_AT_ONCE, "{given_up:?}");
    for failure in given_up {
        let told = (failure["scope"].as_str().unwrap(), failure["reason"].as_str().unwrap());
        // Of a session that is gone GoTrue refreshes no token, which proves nothing.
        assert!([("global", "not_found"), ("local", "expired")].contains(&told), "{failure}");
        assert!(of(failure).is_done(app), "{failure}");
    }
}

/// Forged tokens have left no line in the failure log, and `verify` lets in the sessions that they named.
async fn assert_attacks_left_nothing(gateway: &GatewayProcess, all: &[(Logout, Option<u16>)]) {
    let failed = sessions(&report(gateway, "/failures").await["failures"]);
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

/// Kills and starts again while logouts go on and GoTrue fails and recovers, and kills the Redis once;
/// then everything that was promised is so, and nothing else is.
async fn killed_at_random_moments(store: &str, redis: Option<&RedisServer>) {
    let app = logouts::start_app().await;
    let logouts = logouts::all(&app).await;
    let gateway = Arc::new(Mutex::new(start(&app, store).await));
    let asking = Asking::begin(logouts, &gateway);
    for kill in 0..KILLS {
        app.mock.clear_faults();
        if kill % 2 == 0 {
            gotrue_fails(&app);
        }
        asking.go_on().await;
        if let Some(redis) = redis.filter(|_| kill == 2) {
            redis.kill();
            redis.restart().await;
            asking.go_on().await;
        }
        let mut process = gateway.lock().await;
        process.signal("KILL");
        // What it held is free once it is gone.
        let ended = eventually_ended(&mut process).await;
        assert_eq!(ended.code(), None, "it was killed");
        let after = start(&app, store).await;
        *process = after;
    }
    app.mock.clear_faults();
    let all = asking.end().await;
    let process = Arc::into_inner(gateway).unwrap().into_inner();
    let waiting = worked_off(&process, &all).await;
    for kind in Kind::ALL {
        let of_it = all.iter().filter(|(logout, _)| logout.kind == kind);
        let mut told: Vec<Option<u16>> = of_it.map(|(_, told)| *told).collect();
        told.sort_unstable();
        let counts = told.chunk_by(|a, b| a == b).map(|some| (some[0], some.len()));
        println!("{kind:?}: {:?}", counts.collect::<Vec<_>>());
        assert!(told.iter().any(Option::is_some), "{kind:?}: it was no test");
    }
    assert!(all.iter().any(|(_, told)| told.is_none()), "it was no test");
    assert!(all.iter().any(|(_, told)| *told == Some(202)), "it was no test");
    let after = After { calls: app.mock.calls(), waiting, store_was_down: redis.is_some() };
    for (logout, told) in &all {
        logout.assert_true(&app, *told, &after);
    }
    let kills = KILLS + usize::from(redis.is_some());
    assert_nothing_is_given_up(&app, &process, &all, kills).await;
    assert_attacks_left_nothing(&process, &all).await;
    process.stop();
}

#[tokio::test]
async fn what_was_promised_survives_a_kill_with_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let store = format!("file:{}", directory.path().join("store").display());
    killed_at_random_moments(&store, None).await;
}

#[tokio::test]
async fn what_was_promised_survives_a_kill_with_redis_which_is_killed_itself() {
    let redis = RedisServer::start().await;
    killed_at_random_moments(&redis.url(), Some(&redis)).await;
}
