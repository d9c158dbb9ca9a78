//! What a million lines of the revocation list cost: memory, the time to open the file, and how many
//! logouts the file takes in a second.
//!
//! A third of the lines are sessions, a third the facts beside them (a confirmed logout leaves both), and a
//! third cut-offs of as many users. A commit is one wait for the disk, which those that ask at the same
//! time share.
//!
//! `cargo bench --bench revocations`; the file is below `TMPDIR`, `/tmp` by default.

#![expect(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a benchmark that fails tells nothing"
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

const LINES: u32 = 1_000_000;
/// Asking at once while the file is filled.
const AT_ONCE: u32 = 1024;
const ROUND: Duration = Duration::from_secs(3);
/// Seconds since the Unix epoch.
const NOW: i64 = 1_800_000_000;
const UNTIL: i64 = NOW + 7 * 86_400;

/// The logout of a new session that GoTrue confirmed. Every other one is `local` and leaves two lines, the
/// session and the fact that it is over; the others are `others` and leave one, a cut-off.
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

/// Two logouts leave three lines.
const LOGOUTS: u32 = LINES / 3 * 2;

async fn open(address: &StoreAddress) -> Arc<dyn Store> {
    store::open(address).await.unwrap()
}

/// Resident memory of this process, in MB.
fn resident() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

/// As many logouts as leave [`LINES`], by [`AT_ONCE`] clients.
async fn fill(store: &Arc<dyn Store>) {
    let mut clients = JoinSet::new();
    for _ in 0..AT_ONCE {
        let store = store.clone();
        clients.spawn_local(async move {
            for n in 0..LOGOUTS / AT_ONCE {
                store.revoke(&logout(n)).await.unwrap();
            }
        });
    }
    clients.join_all().await;
}

/// Logouts in a second by so many clients, each asking again as soon as it is answered.
async fn rate(store: &Arc<dyn Store>, at_once: usize) -> f64 {
    let begun = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..at_once {
        let store = store.clone();
        clients.spawn_local(async move {
            let mut done = 0_u32;
            while begun.elapsed() < ROUND {
                store.revoke(&logout(done)).await.unwrap();
                done += 1;
            }
            done
        });
    }
    let done: u32 = clients.join_all().await.iter().sum();
    f64::from(done) / begun.elapsed().as_secs_f64()
}

/// How long it takes to tell of a token that it is not on the list.
async fn look_up(store: &Arc<dyn Store>) -> Duration {
    let claims = Claims {
        sub: Uuid::new_v4(),
        session_id: Uuid::new_v4(),
        exp: UNTIL,
        iat: Some(NOW),
        nbf: None,
        role: None,
        aal: None,
    };
    let begun = Instant::now();
    for _ in 0..LINES {
        assert!(!store.is_revoked(&claims, from_unix_seconds(NOW)).await.unwrap());
    }
    begun.elapsed() / LINES
}

async fn in_memory() {
    let before = resident();
    let store = open(&StoreAddress::Memory).await;
    fill(&store).await;
    let lines = store.list().count();
    println!("memory   {lines} lines take {:.0} MB", resident() - before);
    println!("memory   a look-up takes {:?}", look_up(&store).await);
}

async fn in_a_file(path: &Path) {
    let address = StoreAddress::File(path.to_owned());
    let store = open(&address).await;
    for at_once in [1, 64] {
        println!(
            "file     {:>6.0} logouts/s, {at_once} at once, empty",
            rate(&store, at_once).await
        );
    }
    let begun = Instant::now();
    fill(&store).await;
    println!("file     filled in {:.0} s", begun.elapsed().as_secs_f64());
    drop(store);
    let megabytes = fs::metadata(path).unwrap().len() as f64 / 1_048_576.0;
    println!("file     {LINES} lines take {megabytes:.0} MB on the disk");
}

async fn in_a_file_again(path: &Path, name: &str) -> Arc<dyn Store> {
    let (before, begun) = (resident(), Instant::now());
    let store = open(&StoreAddress::File(path.to_owned())).await;
    let took = begun.elapsed();
    println!("file     opens {name} in {took:.2?}, takes {:.0} MB", resident() - before);
    store
}

async fn run(round: &str, path: &Path) {
    match round {
        "memory" => in_memory().await,
        "fill" => in_a_file(path).await,
        _ => {
            let store = in_a_file_again(path, "after it was closed").await;
            println!("file     a look-up takes {:?}", look_up(&store).await);
            for at_once in [1, 64] {
                let rate = rate(&store, at_once).await;
                println!("file     {rate:>6.0} logouts/s, {at_once} at once, with {LINES} lines");
            }
            let begun = Instant::now();
            store.purge_expired(from_unix_seconds(NOW)).await.unwrap();
            println!("file     nothing to forget is found in {:.2?}", begun.elapsed());
            let copy = path.with_extension("copy");
            fs::copy(path, &copy).unwrap();
            drop(store);
            drop(in_a_file_again(&copy, "after a kill").await);
        }
    }
}

/// Each round is a process of its own: memory that one has freed would flatter the next.
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
