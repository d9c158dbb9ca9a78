//! An entry of the queue: one logout to retry.
//!
//! 1. There is one entry for each session and scope, with the newest three credentials. Credentials of a stale
//!    session never replace those of a proven one, and nothing replaces the proven access token that expires
//!    last: a thief with a token that is about to expire cannot displace it with made-up refresh tokens.
//! 2. Every added credential and every request of a proven session changes the entry's revision: the worker
//!    removes an entry only if it has tried that revision.

pub mod queued_logout;
pub mod v1;

use aws_lc_rs::digest::{SHA256, digest};
use jiff::{Timestamp, fmt::serde::timestamp::millisecond};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::outcome::{Reason, Route, Scope, Stored};

/// The time of what has not happened; records write it as 0.
pub const NEVER: Timestamp = Timestamp::UNIX_EPOCH;
/// The largest number of credentials in one entry.
pub const MOST_CREDENTIALS: usize = 3;

/// One queued logout. It holds no secret in clear text: the credentials are encrypted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueEntry {
    /// [`entry_id`] of session and scope.
    pub id: Uuid,
    /// `X-Request-Id` of the first request.
    pub request_id: String,
    /// The route of the first request, such as `/api/auth/logout`.
    pub route: Stored<Route>,
    /// Which of the user's sessions are to end.
    pub scope: Stored<Scope>,
    /// The user of the session.
    pub user_id: Uuid,
    /// The session that asked for the logout.
    pub session_id: Uuid,
    /// Whether a try may have ended the session although the gateway got no answer.
    pub tried: bool,
    /// Whether the session may have been over before the first request. If GoTrue then says that the session is
    /// gone, no try counts as having revoked it.
    #[serde(default)]
    pub was_over: bool,
    /// The time of the first request, by the store's clock.
    #[serde(with = "millisecond::required")]
    pub queued_at: Timestamp,
    /// The time of the last request of a proven session, or [`NEVER`], by the store's clock. The worker
    /// gives the entry up seven days after it: requests of stale sessions do not count.
    #[serde(default, with = "millisecond::required")]
    pub renewed_at: Timestamp,
    /// The time of the next try, or the end of the lease, by the store's clock.
    #[serde(with = "millisecond::required")]
    pub due: Timestamp,
    /// The time of the last failed try, or [`NEVER`], by the store's clock.
    #[serde(default, with = "millisecond::required")]
    pub failed_at: Timestamp,
    /// The number of tries so far.
    pub attempts: u32,
    /// The reason of the last failure.
    pub reason: Stored<Reason>,
    /// Changes whenever credentials are added.
    pub revision: u32,
    /// The credentials to try, the newest first; never empty.
    pub credentials: Vec<SealedCredentials>,
}

/// Credentials of one request, encrypted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedCredentials {
    /// A keyed hash of the credentials, to recognize them: it is the same as long as `GATEWAY_SECRET` is.
    pub fingerprint: String,
    /// The fingerprint under the key of `GATEWAY_SECRET_PREVIOUS`, to recognize credentials that were queued
    /// before the secret changed.
    #[serde(skip)]
    pub former_fingerprint: Option<String>,
    /// Whether they proved the session when they were queued; otherwise the session was stale.
    pub proven: bool,
    /// The access token's `exp` (`NumericDate`); 0 if an earlier release wrote the entry.
    #[serde(default)]
    pub exp: i64,
    /// The id of the key that encrypted them.
    pub key_id: String,
    /// The ciphertext; base64url.
    pub sealed: String,
    /// The data that the first version of these records bound the ciphertext to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound_to: Option<String>,
}

/// The id of the one entry for a session and a scope.
#[must_use]
pub fn entry_id(session_id: Uuid, scope: Scope) -> Uuid {
    let name = [session_id.as_bytes(), scope.as_str().as_bytes()].concat();
    let hash = digest(&SHA256, &name);
    let octets = hash.as_ref().first_chunk().copied().unwrap_or_default();
    uuid::Builder::from_custom_bytes(octets).into_uuid()
}

impl QueueEntry {
    /// The part of the entry that the credentials are bound to; it never changes.
    pub(crate) fn binding(&self) -> String {
        let Self { scope, user_id, session_id, .. } = self;
        format!("{scope} {user_id} {session_id}")
    }

    /// Whether none of the credentials proved the session.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        !self.credentials.iter().any(|credentials| credentials.proven)
    }

    /// This entry as a store takes it at `now`, by the store's clock.
    pub(crate) fn stamped(self, now: Timestamp) -> Self {
        let renewed_at = if self.is_stale() { NEVER } else { now };
        Self { queued_at: now, renewed_at, ..self }
    }

    /// This entry merged with `newer`, of the same session and scope. Due time and reason stay. Each request of
    /// a proven session changes the revision, even with known credentials: an `others` may be meant for a
    /// session that began after the previous request.
    ///
    /// `was_over` is true if it is true of either entry, even where the known one was tried before: the session
    /// may have ended between the tries, and the gateway does not know which try had an effect. So the worker may
    /// give up a repeated `global` as `not_found` although GoTrue did it, but it never reports one as done that
    /// ended no session.
    pub(crate) fn merged_with(self, newer: &Self) -> Self {
        let mut credentials = self.credentials;
        let mut changed = !newer.is_stale();
        for added in newer.credentials.iter().rev() {
            changed |= add(&mut credentials, added);
        }
        keep_best(&mut credentials);
        Self {
            tried: self.tried || newer.tried,
            was_over: self.was_over || newer.was_over,
            queued_at: self.queued_at.min(newer.queued_at),
            renewed_at: self.renewed_at.max(newer.renewed_at),
            revision: if changed { self.revision.wrapping_add(1) } else { self.revision },
            credentials,
            ..self
        }
    }
}

/// Adds credentials as the newest; returns whether they change anything. Credentials that proved the session
/// once stay proven.
fn add(credentials: &mut Vec<SealedCredentials>, added: &SealedCredentials) -> bool {
    if let Some(known) = credentials.iter_mut().find(|c| c.fingerprint == added.fingerprint) {
        let is_news = added.proven && !known.proven;
        known.proven |= added.proven;
        return is_news;
    }
    let is_former =
        |c: &SealedCredentials| Some(&c.fingerprint) == added.former_fingerprint.as_ref();
    let former = credentials.iter().position(is_former).map(|at| credentials.remove(at));
    let proven = added.proven || former.is_some_and(|former| former.proven);
    credentials.insert(0, SealedCredentials { proven, ..added.clone() });
    true
}

/// Keeps [`MOST_CREDENTIALS`], in their order. It always keeps the proven ones whose access token expires last,
/// because they work for the longest time (of several, the oldest); then it prefers proven ones to stale ones,
/// and newer ones to older ones.
fn keep_best(credentials: &mut Vec<SealedCredentials>) {
    let numbered = credentials.iter().enumerate().filter(|(_, c)| c.proven);
    let mut lasting = numbered.max_by_key(|(_, c)| c.exp).map(|(at, _)| at);
    while credentials.len() > MOST_CREDENTIALS {
        let stale = credentials.iter().rposition(|c| !c.proven);
        let oldest = (0..credentials.len()).rfind(|at| Some(*at) != lasting);
        let Some(superfluous) = stale.or(oldest) else { break };
        credentials.remove(superfluous);
        lasting = lasting.map(|at| if at > superfluous { at - 1 } else { at });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Those of a later letter expire later.
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
    fn the_newest_three_credentials_are_kept_and_each_proven_request_is_a_revision() {
        let merged = ["b", "c", "d", "d"]
            .into_iter()
            .fold(entry("a", true), |known, name| known.merged_with(&entry(name, true)));
        assert_eq!(names(&merged), ["d", "c", "b"]);
        assert_eq!((merged.revision, merged.request_id.as_str()), (4, "a"));
        assert_eq!(merged.clone().merged_with(&entry("d", false)).revision, 4, "stale, and known");
    }

    #[test]
    fn stale_credentials_never_push_out_proven_ones() {
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
    fn the_proven_token_that_expires_last_is_kept_and_of_several_the_oldest_beside_the_newest() {
        let [later, earlier] =
            ["z", "a"].map(|kind| [1, 2, 3, 4].map(|n| entry(&format!("{kind}{n}"), true)));
        let stale = entry("zz", false);
        let kept = merged(later[0].clone(), &earlier);
        assert_eq!(names(&kept), ["a4", "a3", "z1"]);
        let kept = merged(kept, &[later[1].clone(), later[2].clone(), later[3].clone(), stale]);
        assert_eq!(names(&kept), ["z4", "z3", "z1"]);
    }

    #[test]
    fn tokens_that_were_proven_once_stay_so() {
        let proofs =
            |entry: &QueueEntry| entry.credentials.iter().map(|c| c.proven).collect::<Vec<_>>();
        let known = merged(entry("a", true), &[entry("a", false)]);
        assert_eq!((proofs(&known), known.revision), (vec![true], 0));
        let known = merged(entry("a", false), &[entry("a", true), entry("a", true)]);
        assert_eq!((proofs(&known), known.revision), (vec![true], 2));
        // The same tokens under the fingerprint of another secret take the place of the former.
        let mut anew = entry("b", false);
        anew.credentials[0].former_fingerprint = Some("a".to_owned());
        let known = merged(entry("a", true), &[anew]);
        assert_eq!((names(&known), proofs(&known), known.revision), (vec!["b"], vec![true], 1));
    }

    #[test]
    fn a_session_that_may_have_been_over_before_either_logout_may_have_been_over() {
        let entry = |was_over| QueueEntry { was_over, ..entry("a", true) };
        for (known, newer) in [(true, false), (false, true), (true, true), (false, false)] {
            let known_and_tried = QueueEntry { tried: true, ..entry(known) };
            assert_eq!(known_and_tried.merged_with(&entry(newer)).was_over, known || newer);
        }
        let mut earlier = serde_json::to_value(entry(true)).unwrap();
        earlier.as_object_mut().unwrap().remove("was_over");
        let earlier: QueueEntry = serde_json::from_value(earlier).unwrap();
        assert!(!earlier.was_over, "an earlier release");
    }

    #[test]
    fn each_session_and_scope_has_an_id_of_its_own() {
        let ids = |scope| [1, 2].map(|session| entry_id(Uuid::from_u128(session), scope));
        let all = [Scope::Local, Scope::Others, Scope::Global].into_iter().flat_map(ids);
        let ids: std::collections::HashSet<_> = all.collect();
        assert_eq!(ids.len(), 6);
    }
}
