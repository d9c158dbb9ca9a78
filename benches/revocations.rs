//! The cost of a million entries of the revocation list: memory, the time to open the file, and how many
//! logouts per second the file takes.
//!
//! A third of the entries are revoked sessions, a third are facts that these sessions have ended (a confirmed
//! logout writes both entries), and a third are cut-offs, one for each of as many users. A cut-off revokes
//! all tokens that a user got before it. Concurrent logouts share one commit, so the disk is synchronised
//! once for all of them.
//!
//! `cargo bench --bench revocations`; the file is below `TMPDIR`, `/tmp` by default.

#![expect(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a benchmark that fails has no result"
)]

use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use logout_gateway::internals::{
    clock::from_unix_seconds,
    config::StoreAddress,
    outcome::Scope,
    session::token::Claims,
    store::{self, Store, list::Revocation},
};
use tokio::{runtime::Runtime, task::JoinSet};
use uuid::Uuid;

const ENTRIES: u32 = 1_000_000;
/// The number of clients that concurrently write the entries of the revocation list.
const FILL_CLIENTS: u32 = 1024;
const ROUND: Duration = Duration::from_secs(3);
/// The time of all logouts, in seconds since the Unix epoch.
const NOW: i64 = 1_800_000_000;
const UNTIL: i64 = NOW + 7 * 86_400;

/// A confirmed logout of a new session. If `n` is even, the logout is `local` and writes two entries: the
/// session and the fact that the session has ended. If `n` is odd, the logout is `others` and writes one
/// entry: a cut-off.
fn logout(n: u32) -> Revocation {
    let scope = if n.is_multiple_of(2) { Scope::Local } else { Scope::Others };
    let (user, session) = (Uuid::new_v4(), Uuid::new_v4());
    Revocation {
        user,
        session,
        scope,
        cut_off: from_unix_seconds(NOW),
        until: from_unix_seconds(UNTIL),
        is_confirmed: true,
    }
}

/// The number of logouts that write [`ENTRIES`] entries: two logouts write three entries.
const LOGOUTS: u32 = ENTRIES / 3 * 2;

async fn open(address: &StoreAddress) -> Arc<dyn Store> {
    store::open(address).await.unwrap()
}

/// The resident memory of this process, in MiB.
fn resident() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

/// Fills the revocation list with [`ENTRIES`] entries.
async fn fill(store: &Arc<dyn Store>) {
    let mut clients = JoinSet::new();
    for _ in 0..FILL_CLIENTS {
        let store = store.clone();
        clients.spawn_local(async move {
            for n in 0..LOGOUTS / FILL_CLIENTS {
                store.revoke(&logout(n)).await.unwrap();
            }
        });
    }
    clients.join_all().await;
}

/// Logouts per second that the store takes from `at_once` clients, each of which starts the next logout when
/// the store has written the last one.
async fn rate(store: &Arc<dyn Store>, at_once: usize) -> f64 {
    let start = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..at_once {
        let store = store.clone();
        clients.spawn_local(async move {
            let mut done = 0_u32;
            while start.elapsed() < ROUND {
                store.revoke(&logout(done)).await.unwrap();
                done += 1;
            }
            done
        });
    }
    let done: u32 = clients.join_all().await.iter().sum();
    f64::from(done) / start.elapsed().as_secs_f64()
}

/// The time that the store needs to look up a token that is not on the revocation list.
async fn look_up(store: &Arc<dyn Store>) -> Duration {
    let claims = Claims {
        sub: Uuid::new_v4(),
        session_id: Uuid::new_v4(),
        exp: UNTIL,
        iat: Some(NOW),
        nbf: None,
        role: None,
        aal: None,
        is_anonymous: false,
        client_id: None,
    };
    let start = Instant::now();
    for _ in 0..ENTRIES {
        assert!(!store.is_revoked(&claims, from_unix_seconds(NOW)).await.unwrap());
    }
    start.elapsed() / ENTRIES
}

async fn in_memory() {
    let before = resident();
    let store = open(&StoreAddress::Memory).await;
    fill(&store).await;
    let entries = store.list().count();
    println!("memory   {entries} entries take {:.0} MB", resident() - before);
    println!("memory   a lookup takes {:?}", look_up(&store).await);
}

async fn in_a_file(path: &Path) {
    let address = StoreAddress::File(path.to_owned());
    let store = open(&address).await;
    for at_once in [1, 64] {
        println!(
            "file     {:>6.0} logouts/s, {at_once} concurrent, empty",
            rate(&store, at_once).await
        );
    }
    let start = Instant::now();
    fill(&store).await;
    println!("file     filled in {:.0} s", start.elapsed().as_secs_f64());
    drop(store);
    let megabytes = fs::metadata(path).unwrap().len() as f64 / 1_048_576.0;
    println!("file     {ENTRIES} entries take {megabytes:.0} MB on the disk");
}

async fn in_a_file_again(path: &Path, name: &str) -> Arc<dyn Store> {
    let (before, start) = (resident(), Instant::now());
    let store = open(&StoreAddress::File(path.to_owned())).await;
    let took = start.elapsed();
    println!("file     opens {name} in {took:.2?}, takes {:.0} MB", resident() - before);
    store
}

async fn run(round: &str, path: &Path) {
    match round {
        "memory" => in_memory().await,
        "fill" => in_a_file(path).await,
        _ => {
            let store = in_a_file_again(path, "after it was closed").await;
            println!("file     a lookup takes {:?}", look_up(&store).await);
            for at_once in [1, 64] {
                let rate = rate(&store, at_once).await;
                println!(
                    "file     {rate:>6.0} logouts/s, {at_once} concurrent, with {ENTRIES} entries"
                );
            }
            let start = Instant::now();
            store.purge_expired(from_unix_seconds(NOW)).await.unwrap();
            println!("file     a purge without expired entries takes {:.2?}", start.elapsed());
            let copy = path.with_extension("copy");
            fs::copy(path, &copy).unwrap();
            drop(store);
            drop(in_a_file_again(&copy, "after a kill").await);
        }
    }
}

/// Runs each round in a new process, because memory that one round has freed would distort the next
/// measurement.
fn main() {
    let mut arguments = std::env::args().skip(1).filter(|word| word != "--bench");
    if let (Some(round), Some(path)) = (arguments.next(), arguments.next()) {
        let runtime: Runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, run(&round, Path::new(&path)));
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    for round in ["memory", "fill", "open"] {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.arg(round).arg(directory.path().join("store"));
        assert!(command.status().unwrap().success());
    }
}
