//! What an operator sees of a file.

use std::{fs, path::Path, time::Duration};

use logout_gateway::internals::{config::StoreAddress, queue::entry::QueueEntry, store};

use super::{
    failures::numbered,
    opening::{open, path, put},
};

/// Asserts that the queue has these entries and the failure log so many lines, for who looks into it.
async fn assert_seen(path: &Path, entries: &[QueueEntry], failures: usize) {
    let seen = store::read_only(&StoreAddress::File(path.to_owned())).await.unwrap();
    assert_eq!(seen.entries.unwrap(), entries);
    assert_eq!(seen.failures, (0..failures).rev().map(numbered).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_file_is_read_beside_a_gateway_and_without_one() {
    let (directory, path) = path();
    let store = open(&path).await.unwrap();
    let mut entries = Vec::new();
    for count in 1..5 {
        entries.push(put(&*store, Duration::from_secs(count)).await);
        store.append_failures(&[numbered(entries.len() - 1)]).await.unwrap();
        assert_seen(&path, &entries, entries.len()).await;
    }
    // What a kill leaves has to be repaired first.
    let copy = directory.path().join("copy");
    fs::copy(&path, &copy).unwrap();
    assert_seen(&copy, &entries, entries.len()).await;
    drop(store);
    assert_seen(&path, &entries, entries.len()).await;
}

#[tokio::test]
async fn reading_a_file_that_is_no_store_fails_and_creates_none() {
    let (directory, path) = path();
    let text = directory.path().join("text");
    fs::write(&text, "no store at all\n".repeat(10_000)).unwrap();
    for (path, words) in [(&path, "check the path"), (&text, "no store of a gateway")] {
        let told = store::read_only(&StoreAddress::File(path.clone())).await.unwrap_err();
        assert!(told.0.contains(words) && told.0.contains(path.to_str().unwrap()), "{told}");
    }
    assert!(!path.exists());
}
