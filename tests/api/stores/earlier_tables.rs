//! A file with the tables of builds between the first release and this one. [`fill`] wrote the file, run by such
//! a build, as `fixtures/README.md` describes.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use logout_gateway::internals::{
    clock::from_unix_seconds,
    config::StoreAddress,
    outcome::Scope,
    queue::entry::QueueEntry,
    session::token::Claims,
    store::{self, Queue, Store, failure::Failure},
};
use redb::{
    ConcurrencyMode, Database, ReadableDatabase as _, ReadableTable as _, TableDefinition,
    TableHandle as _,
};
use tempfile::TempDir;
use uuid::Uuid;

use super::{
    failures::{self, numbered_failure},
    list::{log_out, log_out_unconfirmed, refuses, session_of},
    opening::{open, path},
    queue::{BOUNDS, HOUR, queue_entry},
    totals::totals,
};

/// The time of the first step, in seconds since the Unix epoch.
const BEGIN: i64 = 1_796_000_000;

fn at(second: i64) -> Timestamp {
    from_unix_seconds(BEGIN + second)
}

/// A UUID of version 4, as GoTrue's ids are.
fn id(number: u128) -> Uuid {
    Uuid::from_u128((0x4000 << 64) | (0x8000 << 48) | number)
}

/// The claims of a token of this session, issued before the first step.
fn claims(user: u128, session: u128) -> Claims {
    Claims { session_id: id(session), ..session_of(id(user), BEGIN - 10) }
}

/// The failures of [`fill`]: five of user 1 and five of user 2.
fn failures() -> Vec<Failure> {
    let of = |number: usize| if number.is_multiple_of(2) { id(1) } else { id(2) };
    let numbered = (0..10).map(|number| (number, numbered_failure(number)));
    numbered.map(|(number, failure)| Failure { user_id: of(number), ..failure }).collect()
}

/// Writes revocations, failures, and a queue whose entries differ in the order of due times, of queueing and
/// of failures.
async fn fill(store: &dyn Store) {
    for (user, scope) in [(1, Scope::Local), (2, Scope::Global), (3, Scope::Others)] {
        log_out(store, &claims(user, 10 * user), scope, BEGIN).await;
        log_out_unconfirmed(store, &claims(user, 10 * user + 1), scope, BEGIN + 1).await;
    }
    store.append_failures(&failures()).await.unwrap();

    let queue = store.queue().unwrap();
    let put = async |entry: &QueueEntry, pause: u64, second: i64| {
        let pause = Duration::from_secs(pause);
        queue.enqueue(entry, pause, &BOUNDS, at(second)).await.unwrap().unwrap();
    };
    let entry = |user, session, scope, name, proven| {
        queue_entry(id(user), id(session), scope, name, proven)
    };
    put(&entry(1, 10, Scope::Local, "a", true), 90, 1).await;
    put(&entry(1, 10, Scope::Global, "b", false), 80, 2).await;
    put(&entry(1, 11, Scope::Local, "c", false), 3, 3).await;
    put(&entry(2, 20, Scope::Local, "d", true), 4, 4).await;
    put(&entry(2, 21, Scope::Others, "e", true), 0, 5).await;
    put(&entry(3, 30, Scope::Local, "f", true), 0, 6).await;
    // An entry with several credentials.
    put(&entry(2, 20, Scope::Local, "g", true), 0, 7).await;
    put(&entry(2, 20, Scope::Local, "h", false), 0, 8).await;
    // Entries that failed, in another order than that of queueing, one that is leased, and one that was removed.
    for (session, second) in [(21, 20), (11, 60)] {
        for leased in queue.lease(HOUR, 9, at(second)).await.unwrap() {
            let failed = leased.session_id == id(session);
            let tried = QueueEntry { attempts: leased.attempts + 1, tried: true, ..leased };
            let pause = Duration::from_secs(30);
            assert!(queue.reschedule(&tried, pause, failed, at(second)).await.unwrap());
        }
    }
    assert_eq!(queue.lease(HOUR, 1, at(85)).await.unwrap().len(), 1);
    assert!(queue.remove(entry(3, 30, Scope::Local, "f", true).id).await.unwrap());
}

/// The names of the tables in a file, and all keys and values of each, encoded.
type Content = BTreeMap<String, Vec<(Vec<u8>, Vec<u8>)>>;

/// Reads all tables of a file with the tables of this release.
fn content(path: &Path) -> Content {
    const BY_ONE: [&str; 5] = ["sessions", "queue", "queue_states", "queue_sums", "failure_log"];
    let mut builder = Database::builder();
    builder.set_concurrency_mode(ConcurrencyMode::SingleWriter);
    let transaction = builder.open_read_only(path).unwrap().begin_read().unwrap();
    let mut content = Content::new();
    for table in transaction.list_tables().unwrap() {
        let name = table.name();
        let mut lines = Vec::new();
        if BY_ONE.contains(&name) {
            let by_one = TableDefinition::<u128, &[u8]>::new(name);
            for line in transaction.open_table(by_one).unwrap().iter().unwrap() {
                let (key, value) = line.unwrap();
                lines.push((key.value().to_be_bytes().to_vec(), value.value().to_vec()));
            }
        } else {
            let by_two = TableDefinition::<(u128, u128), &[u8]>::new(name);
            for line in transaction.open_table(by_two).unwrap().iter().unwrap() {
                let (key, value) = line.unwrap();
                let key = [key.value().0, key.value().1].map(u128::to_be_bytes).concat();
                lines.push((key, value.value().to_vec()));
            }
        }
        content.insert(name.to_owned(), lines);
    }
    content
}

/// A copy of the recorded file, and a file that this release writes by the same steps.
async fn recorded_and_new() -> (TempDir, [PathBuf; 2]) {
    let (directory, new) = path();
    let recorded = directory.path().join("recorded");
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/store/earlier-tables.redb");
    // Do not copy the fixture's permissions: it may be read-only.
    fs::write(&recorded, fs::read(fixture).unwrap()).unwrap();
    fill(&*open(&new).await.unwrap()).await;
    (directory, [recorded, new])
}

#[tokio::test]
async fn a_file_with_earlier_tables_becomes_the_file_that_this_release_writes() {
    let (_directory, [recorded, new]) = recorded_and_new().await;
    let expected = content(&new);
    assert_eq!(expected.len(), 11);
    for (name, lines) in &expected {
        assert!(!lines.is_empty(), "{name}: the steps write to every table");
    }
    for _ in 0..2 {
        drop(open(&recorded).await.unwrap());
        assert_eq!(content(&recorded), expected);
    }
    let found = totals(&StoreAddress::File(recorded)).await;
    assert_eq!(found.stored, found.actual);
}

#[tokio::test]
async fn a_file_with_earlier_tables_keeps_list_queue_and_failures() {
    let (_directory, paths) = recorded_and_new().await;
    let [recorded, new] = [open(&paths[0]).await.unwrap(), open(&paths[1]).await.unwrap()];
    assert_eq!(recorded.list().count(), new.list().count());
    for (session, user) in [(10, 1), (11, 1), (20, 2), (29, 2), (30, 3), (39, 3), (40, 4)] {
        for second in [0, 80_000, 90_000, 700_000] {
            let (claims, at) = (claims(user, session), BEGIN + second);
            let expected = refuses(&*new, &claims, at).await;
            assert_eq!(refuses(&*recorded, &claims, at).await, expected, "{session} {second}");
        }
    }
    assert!(refuses(&*recorded, &claims(1, 10), BEGIN).await);
    assert!(refuses(&*recorded, &claims(2, 29), BEGIN).await);

    let mut newest_first = failures();
    newest_first.reverse();
    assert_eq!(failures::all(&*recorded).await, newest_first);

    let [queue, expected] = [recorded.queue().unwrap(), new.queue().unwrap()];
    let entries = queue.entries(usize::MAX).await.unwrap();
    assert_eq!(entries.len(), 5);
    assert_eq!(entries, expected.entries(usize::MAX).await.unwrap());
    assert_eq!(queue.oldest().await, Ok(Some(at(1))));
    let leased = async |queue: &dyn Queue| queue.lease(HOUR, 9, at(200)).await.unwrap();
    let leased = [leased(queue).await, leased(expected).await];
    assert_eq!(leased[0], leased[1], "the entry that failed last is leased last");
    let sessions: Vec<Uuid> = leased[0].iter().map(|entry| entry.session_id).collect();
    assert_eq!(sessions, [20, 10, 21, 11].map(id), "an entry is still leased to another worker");
}

#[tokio::test]
async fn failures_in_earlier_tables_count_for_their_users() {
    let (_directory, [recorded, _]) = recorded_and_new().await;
    let store = open(&recorded).await.unwrap();
    let of_user = |failure: Failure| Failure { user_id: id(1), ..failure };
    let more: Vec<_> = (10..110).map(numbered_failure).map(of_user).collect();
    store.append_failures(&more).await.unwrap();
    let kept = failures::all(&*store).await;
    let of = |user| kept.iter().filter(|failure| failure.user_id == user).count();
    assert_eq!((of(id(1)), of(id(2))), (100, 5), "the five older failures of user 1 are removed");
}

#[tokio::test]
async fn a_file_with_earlier_tables_can_be_read_before_it_is_upgraded() {
    let (_directory, [recorded, new]) = recorded_and_new().await;
    let before = fs::read(&recorded).unwrap();
    let read = async |path: &Path| {
        let contents = store::read_only(&StoreAddress::File(path.to_owned())).await.unwrap();
        (contents.failures, contents.entries.unwrap())
    };
    let found = read(&recorded).await;
    assert_eq!((found.0.len(), found.1.len()), (10, 5));
    assert_eq!(found, read(&new).await);
    assert!(fs::read(&recorded).unwrap() == before, "reading the file changes nothing");
}
