//! Reading a store file without writing to it, for the commands of an operator.

use std::{fs, path::Path, time::Duration};

use logout_gateway::internals::{config::StoreAddress, queue::entry::QueueEntry, store};

use super::{
    failures::numbered_failure,
    opening::{open, path, put},
};

/// Asserts that a reader of the file finds the queue entries `entries` and this number of failures.
async fn assert_seen(path: &Path, entries: &[QueueEntry], failures: usize) {
    let seen = store::read_only(&StoreAddress::File(path.to_owned())).await.unwrap();
    assert_eq!(seen.entries.unwrap(), entries);
    assert_eq!(seen.failures, (0..failures).rev().map(numbered_failure).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_file_can_be_read_while_a_gateway_uses_it_and_without_one() {
    let (directory, path) = path();
    let store = open(&path).await.unwrap();
    let mut entries = Vec::new();
    for count in 1..5 {
        entries.push(put(&*store, Duration::from_secs(count)).await);
        store.append_failures(&[numbered_failure(entries.len() - 1)]).await.unwrap();
        assert_seen(&path, &entries, entries.len()).await;
    }
    // The reader must repair a copy of an open file first, like a file after its process was killed.
    let copy = directory.path().join("copy");
    fs::copy(&path, &copy).unwrap();
    assert_seen(&copy, &entries, entries.len()).await;
    drop(store);
    assert_seen(&path, &entries, entries.len()).await;
}

#[tokio::test]
async fn reading_a_file_that_is_no_store_fails_and_creates_no_file() {
    let (directory, path) = path();
    let text = directory.path().join("text");
    fs::write(&text, "no store at all\n".repeat(10_000)).unwrap();
    for (path, words) in [(&path, "check the path"), (&text, "no store of a gateway")] {
        let error = store::read_only(&StoreAddress::File(path.clone())).await.unwrap_err();
        assert!(error.0.contains(words) && error.0.contains(path.to_str().unwrap()), "{error}");
    }
    assert!(!path.exists());
}
