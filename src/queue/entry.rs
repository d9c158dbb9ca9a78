//! A revocation that GoTrue could not be asked for, as the queue keeps it.
//!
//! 1. There is one entry for each session and scope. A session that asks again adds its newest
//!    credentials to it, three at most. Credentials of a stale session never push out those of a proven
//!    one, and nothing pushes out the proven access token that expires last: a thief with a token that is
//!    about to expire cannot take the owner's place by made-up refresh tokens.
//! 2. An entry has a revision, which every added credential and every request of a proven session changes: the
//!    worker removes what it has tried, and not what came meanwhile.

pub mod v1;

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::logout::outcome::{Reason, Route, Scope, Stored};

/// Credentials kept of one session.
pub const MOST_CREDENTIALS: usize = 3;

/// One queued revocation. Nothing in it tells a secret: the credentials are sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueEntry {
    /// [`entry_id`] of session and scope.
    pub id: Uuid,
    /// `X-Request-Id` of the first logout.
    pub request_id: String,
    /// The route that was asked, `/api/auth/logout` for one.
    pub route: Stored<Route>,
    /// Which of the user's sessions are to end.
    pub scope: Stored<Scope>,
    /// Whose session.
    pub user_id: Uuid,
    /// Which session.
    pub session_id: Uuid,
    /// Whether a try may have had its effect without the gateway's hearing of it.
    pub tried: bool,
    /// [`LogoutRequest::was_over`](crate::logout::LogoutRequest::was_over): the gateway knew, when the logout was asked for,
    /// that the session may be over. After such a try a session that is gone does not count as revoked.
    #[serde(default)]
    pub was_over: bool,
    /// When the logout was first asked for; milliseconds since the Unix epoch, by the store's clock.
    pub queued_at: i64,
    /// When a proven session asked for it last, 0 if never; milliseconds since the Unix epoch, by the
    /// store's clock. It is given up seven days after that; what stale sessions add does not count.
    #[serde(default)]
    pub renewed_at: i64,
    /// When GoTrue is to be asked, or a lease ends; milliseconds since the Unix epoch, by the store's
    /// clock.
    pub due: i64,
    /// When it failed the last time, 0 if never; milliseconds since the Unix epoch, by the store's clock.
    #[serde(default)]
    pub failed_at: i64,
    /// How often GoTrue was asked since.
    pub attempts: u32,
    /// Why it did not do it the last time.
    pub reason: Stored<Reason>,
    /// Changes whenever credentials are added.
    pub revision: u32,
    /// What GoTrue is asked with, the newest first; never empty.
    pub credentials: Vec<SealedCredentials>,
}

/// Credentials of one request, encrypted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedCredentials {
    /// The same for the same credentials, as long as `GATEWAY_SECRET` is; tells nothing about them.
    pub fingerprint: String,
    /// The fingerprint under the key of `GATEWAY_SECRET_PREVIOUS`, for what was queued before the secret
    /// changed.
    #[serde(skip)]
    pub former_fingerprint: Option<String>,
    /// Whether the session was proven by them when they came; else it was stale.
    pub proven: bool,
    /// When the access token expires; seconds since the Unix epoch. 0 where an earlier release wrote it.
    #[serde(default)]
    pub exp: i64,
    /// Which secret's key sealed them.
    pub key_id: String,
    /// The ciphertext; base64url.
    pub sealed: String,
    /// What a release before the second version of these records bound them to.
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
    /// What does not change while it is queued, for the credentials to be bound to.
    #[must_use]
    pub fn binding(&self) -> String {
        let Self { scope, user_id, session_id, .. } = self;
        format!("{scope} {user_id} {session_id}")
    }

    /// Whether no credential was of a proven session.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        !self.credentials.iter().any(|credentials| credentials.proven)
    }

    /// This entry as it is when it is put into a store at `now`, in milliseconds by the store's clock.
    #[must_use]
    pub fn stamped(self, now: i64) -> Self {
        let renewed_at = if self.is_stale() { 0 } else { now };
        Self { queued_at: now, renewed_at, ..self }
    }

    /// This entry with what `newer`, of the same session and scope, brings. When and why it is due stays. Each
    /// request of a proven session is a revision, also with known credentials: an `others` may mean a session
    /// that began after the one before was asked.
    ///
    /// `was_over` is true if it is true of either entry, even where the known one was tried before: the session
    /// may have ended between the tries, and the gateway does not know which try had an effect. So the worker may
    /// give up a repeated `global` as `not_found` although GoTrue did it, but it never reports one as done that
    /// ended no session.
    #[must_use]
    pub fn merged_with(self, newer: &Self) -> Self {
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

/// Adds credentials as the newest; answers whether they tell anything new. Tokens that were proven once
/// stay so, for the session was.
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

/// Keeps [`MOST_CREDENTIALS`] in their order: of the proven ones that whose access token expires last,
/// for with it GoTrue can be asked for the longest time; then the proven ones before the stale ones, and
/// the newest. Of several that expire last the oldest stays, for the newest stays by its age.
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
            queued_at: 1000,
            renewed_at: if proven { 1000 } else { 0 },
            due: 2000,
            failed_at: 0,
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
        assert!(
            !serde_json::from_value::<QueueEntry>(earlier).unwrap().was_over,
            "an earlier release"
        );
    }

    #[test]
    fn each_session_and_scope_has_an_id_of_its_own() {
        let ids: std::collections::HashSet<_> = [Scope::Local, Scope::Others, Scope::Global]
            .into_iter()
            .flat_map(|scope| [1, 2].map(|session| entry_id(Uuid::from_u128(session), scope)))
            .collect();
        assert_eq!(ids.len(), 6);
    }
}
