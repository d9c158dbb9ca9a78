//! Tests of merging entries and of their ids.

use super::*;

/// Credentials whose `exp` is the first letter of `name`, so that those with a later letter expire later.
fn credentials(name: &str, proven: bool) -> SealedCredentials {
    SealedCredentials {
        fingerprint: name.to_owned(),
        former_fingerprint: None,
        proven,
        exp: name.bytes().next().map_or(0, i64::from),
        key_id: String::new(),
        sealed: String::new(),
        bound_to: None,
    }
}

fn entry(name: &str, proven: bool) -> QueueEntry {
    let session_id = Uuid::from_u128(3);
    QueueEntry {
        id: entry_id(session_id, Scope::Local),
        request_id: name.to_owned(),
        route: Stored::Known(Route::SessionApi),
        scope: Stored::Known(Scope::Local),
        user_id: Uuid::from_u128(2),
        session_id,
        tried: false,
        was_over: false,
        queued_at: Timestamp::constant(1, 0),
        renewed_at: if proven { Timestamp::constant(1, 0) } else { NEVER },
        due: Timestamp::constant(2, 0),
        failed_at: NEVER,
        attempts: 0,
        reason: "".into(),
        revision: 0,
        credentials: vec![credentials(name, proven)],
    }
}

fn names(entry: &QueueEntry) -> Vec<&str> {
    entry.credentials.iter().map(|c| c.fingerprint.as_str()).collect()
}

#[test]
fn the_newest_three_credentials_are_kept_and_each_proven_request_changes_the_revision() {
    let merged = ["b", "c", "d", "d"]
        .into_iter()
        .fold(entry("a", true), |known, name| known.merged_with(&entry(name, true)));
    assert_eq!(names(&merged), ["d", "c", "b"]);
    assert_eq!((merged.revision, merged.request_id.as_str()), (4, "a"));
    assert_eq!(
        merged.clone().merged_with(&entry("d", false)).revision,
        4,
        "a stale request with known credentials"
    );
}

#[test]
fn stale_credentials_never_replace_proven_ones() {
    let known = ["b", "c"]
        .into_iter()
        .fold(entry("a", true), |known, name| known.merged_with(&entry(name, true)));
    let merged = known.merged_with(&entry("stale", false));
    assert_eq!(names(&merged), ["c", "b", "a"]);
    let stale = ["s2", "s3", "s4"]
        .into_iter()
        .fold(entry("s1", false), |known, name| known.merged_with(&entry(name, false)));
    assert!(stale.is_stale());
    let merged = stale.merged_with(&entry("proven", true));
    assert_eq!(names(&merged), ["proven", "s4", "s3"]);
    assert!(!merged.is_stale());
}

fn merged(first: QueueEntry, others: &[QueueEntry]) -> QueueEntry {
    others.iter().fold(first, QueueEntry::merged_with)
}

#[test]
fn the_proven_token_that_expires_last_is_kept_beside_the_newest() {
    let [later, earlier] =
        ["z", "a"].map(|kind| [1, 2, 3, 4].map(|n| entry(&format!("{kind}{n}"), true)));
    let stale = entry("zz", false);
    let kept = merged(later[0].clone(), &earlier);
    assert_eq!(names(&kept), ["a4", "a3", "z1"]);
    let kept = merged(kept, &[later[1].clone(), later[2].clone(), later[3].clone(), stale]);
    assert_eq!(names(&kept), ["z4", "z3", "z1"]);
}

#[test]
fn tokens_that_were_proven_once_stay_proven() {
    let proofs =
        |entry: &QueueEntry| entry.credentials.iter().map(|c| c.proven).collect::<Vec<_>>();
    let known = merged(entry("a", true), &[entry("a", false)]);
    assert_eq!((proofs(&known), known.revision), (vec![true], 0));
    let known = merged(entry("a", false), &[entry("a", true), entry("a", true)]);
    assert_eq!((proofs(&known), known.revision), (vec![true], 2));
    // Equal tokens with the fingerprint of a new secret replace those with the fingerprint of the old
    // one.
    let mut anew = entry("b", false);
    anew.credentials[0].former_fingerprint = Some("a".to_owned());
    let known = merged(entry("a", true), &[anew]);
    assert_eq!((names(&known), proofs(&known), known.revision), (vec!["b"], vec![true], 1));
}

#[test]
fn was_over_is_true_of_a_merged_entry_if_it_is_true_of_either() {
    let entry = |was_over| QueueEntry { was_over, ..entry("a", true) };
    for (known, newer) in [(true, false), (false, true), (true, true), (false, false)] {
        let known_and_tried = QueueEntry { tried: true, ..entry(known) };
        assert_eq!(known_and_tried.merged_with(&entry(newer)).was_over, known || newer);
    }
    let mut earlier = serde_json::to_value(entry(true)).unwrap();
    earlier.as_object_mut().unwrap().remove("was_over");
    let earlier: QueueEntry = serde_json::from_value(earlier).unwrap();
    assert!(!earlier.was_over, "an entry of an earlier release has no `was_over`");
}

#[test]
fn each_session_and_scope_has_a_different_id() {
    let ids = |scope| [1, 2].map(|session| entry_id(Uuid::from_u128(session), scope));
    let all = [Scope::Local, Scope::Others, Scope::Global].into_iter().flat_map(ids);
    let ids: std::collections::HashSet<_> = all.collect();
    assert_eq!(ids.len(), 6);
}
