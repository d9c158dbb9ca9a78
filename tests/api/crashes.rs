//! Section 9 of the contract: a gateway that is killed at any moment has promised nothing that it does
//! not keep.

use std::{
    process::ExitStatus,
    sync::Arc,
    time::{Duration, Instant},
};

use logout_gateway::{clock::Clock, mock::Tokens};
use serde_json::json;
use tokio::sync::{Mutex, Semaphore};

use crate::harness::{Connection, RedisServer, Request, Serving, Setup, Stage, eventually};

const LOGOUTS: usize = 500;
const AT_ONCE: usize = 16;
const KILLS: usize = 6;
/// A lease of whoever was killed has to end first.
const PATIENCE: Duration = Duration::from_mins(2);

/// What the client of one logout was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Success,
    Refused,
    Failed,
    Nothing,
}

struct Logout {
    tokens: Tokens,
    /// A forged signature, which must end nothing.
    forged: bool,
}

impl Logout {
    fn request(&self, gateway: &Serving) -> Request {
        let token = &self.tokens.access_token;
        let token = if self.forged { format!("{token}x") } else { token.clone() };
        gateway.request("POST", "/api/auth/logout").bearer(&token)
    }

    async fn ask(&self, gateway: &Mutex<Serving>) -> Told {
        let request = self.request(&*gateway.lock().await);
        let Some(mut connection) = Connection::try_open(&request).await else {
            return Told::Nothing;
        };
        connection.write(&request.bytes(true)).await;
        match connection.reply_unless_cut_off().await.map(|reply| reply.status) {
            None => Told::Nothing,
            Some(200 | 202) => Told::Success,
            Some(401) => Told::Refused,
            Some(_) => Told::Failed,
        }
    }
}

async fn start(stage: &Stage, store: &str) -> Serving {
    let environment = [
        ("GATEWAY_STORE", store),
        ("GATEWAY_UPSTREAM_TIMEOUT", "500ms"),
        ("GATEWAY_ADMIN_BIND", "127.0.0.1:0"),
        ("RUST_LOG", "error,logout_gateway::gateway=info"),
    ];
    Serving::start(stage, &environment).await
}

async fn eventually_ended(serving: &mut Serving) -> ExitStatus {
    loop {
        if let Some(status) = serving.has_ended() {
            return status;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Kills and starts again while logouts go on and GoTrue fails and recovers; then everything that was
/// promised is so, and nothing else is.
pub(crate) async fn killed_at_random_moments(store: &str) {
    let stage = Setup::new().at(Clock::system().unix_seconds()).start().await;
    let gateway = Arc::new(Mutex::new(start(&stage, store).await));
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let asking: Vec<_> = (0..LOGOUTS)
        .map(|n| {
            let logout = Logout { tokens: stage.sign_up(), forged: n % 10 == 0 };
            let (gateway, places) = (gateway.clone(), places.clone());
            tokio::spawn(async move {
                let _place = places.acquire_owned().await.unwrap();
                let told = logout.ask(&gateway).await;
                (logout, told)
            })
        })
        .collect();
    for kill in 0..KILLS {
        stage.mock.clear_faults();
        if kill % 2 == 0 {
            let status = [500, 502, 503, 429][fastrand::usize(..4)];
            let effect = fastrand::bool();
            stage.fault(json!({"operation": "logout", "kind": "status", "status": status, "effect": effect}));
        }
        let done = asking.iter().filter(|one| one.is_finished()).count();
        let more = 20 + fastrand::usize(..60);
        let moment = async || {
            asking.iter().filter(|one| one.is_finished()).count() >= (done + more).min(LOGOUTS)
        };
        eventually("some are answered", moment).await;
        let mut serving = gateway.lock().await;
        serving.signal("KILL");
        // What it held is free once it is gone.
        let ended = eventually_ended(&mut serving).await;
        assert_eq!(ended.code(), None, "it was killed");
        let after = start(&stage, store).await;
        *serving = after;
    }
    stage.mock.clear_faults();
    let mut all = Vec::new();
    for one in asking {
        all.push(one.await.unwrap());
    }
    let serving = Arc::into_inner(gateway).unwrap().into_inner();
    let admin = serving.admin_address.unwrap();
    let begun = Instant::now();
    while Request::new(admin, "GET", "/queue").send().await.json()["waiting"] != 0 {
        assert!(begun.elapsed() < PATIENCE, "the queue does not end");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let count = |told| all.iter().filter(|(_, t)| *t == told).count();
    println!(
        "{} promised, {} refused, {} failed, {} cut off",
        count(Told::Success),
        count(Told::Refused),
        count(Told::Failed),
        count(Told::Nothing)
    );
    assert!(count(Told::Success) > 0 && count(Told::Nothing) > 0, "it was no test");
    for (logout, told) in &all {
        let alive = stage.alive(&logout.tokens);
        match told {
            Told::Success => assert!(!alive, "a promise was not kept"),
            Told::Refused => assert!(alive && logout.forged, "{:?}", logout.tokens.session_id),
            // Nobody promised anything; but what is forged ends nothing in any case.
            Told::Failed | Told::Nothing => assert!(alive || !logout.forged),
        }
    }
    serving.ended();
}

#[tokio::test]
async fn what_was_promised_survives_a_kill_with_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let store = format!("file:{}", directory.path().join("store").display());
    killed_at_random_moments(&store).await;
}

#[tokio::test]
async fn what_was_promised_survives_a_kill_with_redis() {
    let redis = RedisServer::start().await;
    killed_at_random_moments(&redis.url()).await;
}
