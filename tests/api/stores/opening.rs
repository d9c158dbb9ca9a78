//! Opening a store file: a file that cannot be used must cause a clear error, and must stay unchanged.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::{FileExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use logout_gateway::internals::{
    config::StoreAddress,
    outcome::Scope,
    queue::entry::QueueEntry,
    session::token::Claims,
    store::{self, Store},
};
use redb::{ConcurrencyMode, Database, TableDefinition};
use tempfile::TempDir;

use super::{
    failures::{self, numbered_failure},
    list::{log_out, now, refuses, session, session_of},
    queue::{BOUNDS, NOW, entry},
};

/// A new directory, and the path of a store file in it that does not exist yet.
pub(super) fn path() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    (directory, path)
}

pub(super) async fn open(path: &Path) -> Result<Arc<dyn Store>, String> {
    let opened = store::open(&StoreAddress::File(path.to_owned())).await;
    opened.map_err(|cause| cause.to_string())
}

/// Queues a new entry that is due after `pause`; returns the entry as the store has it.
pub(super) async fn put(store: &dyn Store, pause: Duration) -> QueueEntry {
    let (queue, entry) = (store.queue().unwrap(), entry());
    let queued = queue.enqueue(&entry, pause, &BOUNDS, super::queue::now()).await;
    queued.unwrap().unwrap();
    queue.get(entry.id).await.unwrap().unwrap()
}

async fn entries(store: &dyn Store) -> Vec<QueueEntry> {
    store.queue().unwrap().entries(usize::MAX).await.unwrap()
}

/// Creates a store file with one record in each table; returns the claims of the session that it revoked.
async fn create_store(path: &Path) -> Claims {
    let (store, ended) = (open(path).await.unwrap(), session(now() - 10));
    log_out(&*store, &ended, Scope::Global, now()).await;
    store.append_failures(&[numbered_failure(0)]).await.unwrap();
    put(&*store, NOW).await;
    ended
}

async fn assert_complete(path: &Path, ended: &Claims) {
    let store = open(path).await.unwrap();
    assert!(refuses(&*store, ended, now()).await);
    assert!(refuses(&*store, &session_of(ended.sub, ended.iat.unwrap()), now()).await);
    assert_eq!(failures::all(&*store).await.len(), 1);
    assert_eq!(entries(&*store).await.len(), 1);
}

/// Asserts that the file cannot be opened, and that the error is one line with the file's path and `words`.
#[track_caller]
fn assert_explained(opened: Result<Arc<dyn Store>, String>, path: &Path, words: &str) {
    let error = opened.expect_err(words);
    assert!(error.starts_with("GATEWAY_STORE: "), "{error}");
    assert!(error.contains(&path.display().to_string()), "{error}");
    assert!(error.contains(words) && error.lines().count() == 1, "{words}: {error}");
}

#[tokio::test]
async fn a_file_that_is_no_store_is_refused_and_left_unchanged() {
    let (directory, _path) = path();
    let at = |name: &str| directory.path().join(name);
    fs::create_dir(at("directory")).unwrap();
    fs::write(at("text"), "no store at all\n".repeat(10_000)).unwrap();
    fs::write(at("short"), "x").unwrap();
    fs::write(at("zeros"), vec![0; 100_000]).unwrap();
    for (path, words) in [
        (at("directory"), "name a file"),
        (PathBuf::from("/dev/null"), "name a file"),
        (at("missing/store"), "check the path, whose directory must exist"),
        (at("text"), "no store of a gateway"),
        (at("short"), "no store of a gateway"),
        (at("zeros"), "no store of a gateway"),
    ] {
        let before = fs::read(&path).ok();
        assert_explained(open(&path).await, &path, words);
        assert_eq!(fs::read(&path).ok(), before, "{}", path.display());
    }
}

#[tokio::test]
async fn an_empty_file_is_a_new_store() {
    let (_directory, path) = path();
    fs::write(&path, "").unwrap();
    let ended = create_store(&path).await;
    assert_complete(&path, &ended).await;
}

#[tokio::test]
async fn an_open_file_is_refused_until_its_store_is_dropped() {
    let (_directory, path) = path();
    let ended = create_store(&path).await;
    let held = open(&path).await.unwrap();
    assert_explained(open(&path).await, &path, "held by another process");
    assert!(refuses(&*held, &ended, now()).await);
    drop(held);
    assert_complete(&path, &ended).await;
}

#[tokio::test]
async fn opening_waits_a_moment_for_a_file_that_is_in_use() {
    let (_directory, path) = path();
    let ended = create_store(&path).await;
    let held = open(&path).await.unwrap();
    let (opened, ()) = tokio::join!(open(&path), async {
        tokio::task::yield_now().await;
        drop(held);
    });
    assert!(refuses(&*opened.unwrap(), &ended, now()).await);
}

#[tokio::test]
async fn only_the_owner_can_read_a_new_file() {
    let (_directory, path) = path();
    drop(open(&path).await.unwrap());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

/// Changes the file in the way in which another release would have written it.
fn change_file(path: &Path, change: impl FnOnce(&redb::WriteTransaction)) {
    let database = Database::open(path).unwrap();
    let transaction = database.begin_write().unwrap();
    change(&transaction);
    transaction.commit().unwrap();
}

#[tokio::test]
async fn a_record_of_a_later_release_is_not_reported_as_damage() {
    type Change = fn(&redb::WriteTransaction);
    const SESSIONS: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("sessions");
    const CUT_OFFS: TableDefinition<'_, (u128, u128), &[u8]> = TableDefinition::new("cut_offs");
    const QUEUE: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("queue");
    const FAILURES: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("failure_log");
    const UNKNOWN: TableDefinition<'_, u64, u64> = TableDefinition::new("unknown");
    const CHANGED: TableDefinition<'_, u64, u64> = TableDefinition::new("failure_log");
    const FORMER: TableDefinition<'_, u64, u64> = TableDefinition::new("due");
    const VALUE: &[u8] = &[3, b'{', b'}'];
    let changes: [(&str, Change); 7] = [
        ("a session", |t| drop(t.open_table(SESSIONS).unwrap().insert(1, VALUE).unwrap())),
        ("a cut-off", |t| drop(t.open_table(CUT_OFFS).unwrap().insert((1, 1), VALUE).unwrap())),
        ("an entry", |t| drop(t.open_table(QUEUE).unwrap().insert(1, VALUE).unwrap())),
        ("a failure", |t| drop(t.open_table(FAILURES).unwrap().insert(9, VALUE).unwrap())),
        ("another table", |t| drop(t.open_table(UNKNOWN).unwrap())),
        ("a table of another kind", |t| {
            assert!(t.delete_table(FAILURES).unwrap());
            drop(t.open_table(CHANGED).unwrap());
        }),
        ("a table with a name of an earlier release", |t| drop(t.open_table(FORMER).unwrap())),
    ];
    for (what, change) in changes {
        let (_directory, path) = path();
        create_store(&path).await;
        change_file(&path, change);
        for _ in 0..2 {
            let error = open(&path).await.expect_err(what);
            assert_explained(Err(error), &path, "written by a later release");
        }
    }
}

#[tokio::test]
async fn an_unreadable_record_is_reported_as_damage() {
    const SESSIONS: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("sessions");
    const QUEUE: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("queue");
    type Change = fn(&redb::WriteTransaction);
    let changes: [Change; 5] = [
        |t| drop(t.open_table(SESSIONS).unwrap().insert(1, &[][..]).unwrap()),
        |t| drop(t.open_table(SESSIONS).unwrap().insert(1, &[0; 9][..]).unwrap()),
        |t| drop(t.open_table(SESSIONS).unwrap().insert(1, &[1; 10][..]).unwrap()),
        |t| drop(t.open_table(QUEUE).unwrap().insert(1, &[1, b'{', b'}'][..]).unwrap()),
        |t| drop(t.open_table(QUEUE).unwrap().insert(1, &[2, b'{', b'}'][..]).unwrap()),
    ];
    for change in changes {
        let (_directory, path) = path();
        create_store(&path).await;
        change_file(&path, change);
        assert_explained(open(&path).await, &path, "is damaged");
    }
}

#[tokio::test]
async fn a_truncated_file_is_reported_as_damaged() {
    let (directory, path) = path();
    create_store(&path).await;
    let whole = fs::read(&path).unwrap();
    for part in 1..32 {
        let cut = directory.path().join("cut");
        fs::write(&cut, &whole[..whole.len() * part / 32]).unwrap();
        assert_explained(open(&cut).await, &cut, "is damaged");
    }
}

#[tokio::test]
async fn a_damaged_file_is_refused_or_complete_and_never_causes_a_panic() {
    let (directory, path) = path();
    let ended = create_store(&path).await;
    let whole = fs::read(&path).unwrap();
    let mut refused = 0;
    for round in 0..100 {
        let copy = directory.path().join("copy");
        fs::write(&copy, &whole).unwrap();
        let file = OpenOptions::new().write(true).open(&copy).unwrap();
        let junk: Vec<u8> = (0..fastrand::usize(1..64)).map(|_| fastrand::u8(..)).collect();
        let at = fastrand::usize(..whole.len() - junk.len());
        file.write_all_at(&junk, at.try_into().unwrap()).unwrap();
        match open(&copy).await {
            Err(error) => {
                assert_explained(Err(error), &copy, "is damaged");
                refused += 1;
            }
            Ok(store) => {
                drop(store);
                println!("round {round}: {junk:?} at {at}");
                assert_complete(&copy, &ended).await;
            }
        }
    }
    assert!(refused > 0, "no copy was refused: the test damaged nothing");
}

#[tokio::test]
async fn a_copy_of_an_open_file_has_everything_that_was_acknowledged() {
    let (directory, path) = path();
    let store = open(&path).await.unwrap();
    let mut all = Vec::new();
    for round in 0..20 {
        let ended = session(now() - 10);
        log_out(&*store, &ended, Scope::Local, now()).await;
        let entry = put(&*store, Duration::from_secs(round)).await;
        all.push((ended, entry));
        // Copy the open file, because the copy is what a power failure would leave.
        let copy = directory.path().join("copy");
        fs::copy(&path, &copy).unwrap();
        let copy = open(&copy).await.unwrap();
        let entries = entries(&*copy).await;
        assert_eq!(entries.len(), all.len());
        for (ended, entry) in &all {
            assert!(refuses(&*copy, ended, now()).await);
            assert!(entries.contains(entry));
        }
    }
}

/// Whether the last process that had the file open closed it properly.
pub(super) fn is_closed_cleanly(path: &Path) -> bool {
    let mut builder = Database::builder();
    builder.set_concurrency_mode(ConcurrencyMode::SingleWriter);
    builder.open_read_only(path).is_ok()
}

#[tokio::test]
async fn a_store_that_is_dropped_has_closed_its_file() {
    let (directory, path) = path();
    let store = open(&path).await.unwrap();
    log_out(&*store, &session(now()), Scope::Local, now()).await;
    let copy = directory.path().join("copy");
    fs::copy(&path, &copy).unwrap();
    drop(store);
    assert!(is_closed_cleanly(&path) && !is_closed_cleanly(&copy));
}
