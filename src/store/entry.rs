//! An entry of the queue: one logout that the worker retries.
//!
//! 1. The queue has at most one entry for each session and scope. The entry has up to three credentials, of
//!    the newest requests. Credentials are proven if their access token was valid when they were queued, and
//!    stale if it had expired. Stale credentials never replace proven ones. The proven credentials whose
//!    access token expires last are never replaced by others: so a thief with a token that is about to expire
//!    cannot displace them by requests with made-up refresh tokens.
//! 2. The entry's revision changes whenever credentials are added and at every request with proven
//!    credentials. After a try, the worker removes an entry only if its revision has not changed since.

pub mod queued_logout;
pub mod v1;

use aws_lc_rs::digest::{SHA256, digest};
use std::time::Duration;

use jiff::{Timestamp, fmt::serde::timestamp::millisecond};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::outcome::{Reason, Route, Scope, Stored};

/// The longest pause that a `Retry-After` can cause. A proxy may send a wrong value, which must not delay the
/// entry until its tokens have expired.
pub(crate) const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);
/// The value of a time field for an event that has not happened. Records store it as 0.
pub const NEVER: Timestamp = Timestamp::UNIX_EPOCH;
/// The largest number of credentials that one entry keeps.
pub const MOST_CREDENTIALS: usize = 3;

/// One queued logout. Its credentials are encrypted, so it contains no secret in plain text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueEntry {
    /// The id made of session and scope by [`entry_id`].
    pub id: Uuid,
    /// `X-Request-Id` of the first request.
    pub request_id: String,
    /// The route of the first request, such as `/api/auth/logout`.
    pub route: Stored<Route>,
    /// Which of the user's sessions the logout ends.
    pub scope: Stored<Scope>,
    /// The user of the session.
    pub user_id: Uuid,
    /// The session whose credentials requested the logout.
    pub session_id: Uuid,
    /// Whether an earlier try got no answer, so that GoTrue may have ended the session without the gateway's
    /// knowledge.
    pub tried: bool,
    /// Whether the session may have ended before the first request. If so, and GoTrue answers that the
    /// session does not exist, the logout does not count as `revoked` by an earlier try.
    #[serde(default)]
    pub was_over: bool,
    /// The time of the first request for this logout, by the store's clock.
    #[serde(with = "millisecond::required")]
    pub queued_at: Timestamp,
    /// The time of the last request with proven credentials, or [`NEVER`], by the store's clock. The worker
    /// gives up the entry seven days after this time. Requests with stale credentials do not extend it.
    #[serde(default, with = "millisecond::required")]
    pub renewed_at: Timestamp,
    /// The time of the next try, or, while a worker tries the entry, the time at which its lease ends; by the
    /// store's clock.
    #[serde(with = "millisecond::required")]
    pub due: Timestamp,
    /// The time of the last failed try, or [`NEVER`], by the store's clock.
    #[serde(default, with = "millisecond::required")]
    pub failed_at: Timestamp,
    /// The number of tries so far.
    pub attempts: u32,
    /// The reason of the last failed try, or of the failure that put the logout into the queue.
    pub reason: Stored<Reason>,
    /// A number that changes whenever credentials are added, and at every request with proven credentials.
    pub revision: u32,
    /// The credentials that the worker tries, newest first. Never empty.
    pub credentials: Vec<SealedCredentials>,
}

/// The encrypted credentials of one logout request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedCredentials {
    /// A keyed hash of the credentials, by which repeated ones are recognised. It stays the same as long as
    /// `GATEWAY_SECRET` does.
    pub fingerprint: String,
    /// The fingerprint made with `GATEWAY_SECRET_PREVIOUS`, by which credentials that were queued before the
    /// secret changed are recognised. It is not stored.
    #[serde(skip)]
    pub former_fingerprint: Option<String>,
    /// Whether the access token was valid when the credentials were queued. If not, the token had expired:
    /// the credentials are stale.
    pub proven: bool,
    /// The access token's `exp`, in seconds since the Unix epoch; 0 if an earlier release wrote the entry.
    #[serde(default)]
    pub exp: i64,
    /// The id of the key that encrypted the credentials.
    pub key_id: String,
    /// The nonce and the ciphertext, in base64url.
    pub sealed: String,
    /// The additional authenticated data of a record in the format of the first release; `None` for newer
    /// records, which use `QueueEntry::binding`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound_to: Option<String>,
}

/// The id of the entry for a session and a scope: a hash of both.
#[must_use]
pub fn entry_id(session_id: Uuid, scope: Scope) -> Uuid {
    let name = [session_id.as_bytes(), scope.as_str().as_bytes()].concat();
    let hash = digest(&SHA256, &name);
    let octets = hash.as_ref().first_chunk().copied().unwrap_or_default();
    uuid::Builder::from_custom_bytes(octets).into_uuid()
}

impl QueueEntry {
    /// The scope, user and session as text: the additional authenticated data of the credentials. They never
    /// change for one entry.
    pub(crate) fn binding(&self) -> String {
        let Self { scope, user_id, session_id, .. } = self;
        format!("{scope} {user_id} {session_id}")
    }

    /// Whether the entry has no proven credentials.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        !self.credentials.iter().any(|credentials| credentials.proven)
    }

    /// This entry with the times of a new entry, set to `now`, which is the store's time.
    pub(crate) fn stamped(self, now: Timestamp) -> Self {
        let renewed_at = if self.is_stale() { NEVER } else { now };
        Self { queued_at: now, renewed_at, ..self }
    }

    /// Merges this entry with `newer`, an entry of the same session and scope. The time of the next try and
    /// the reason stay. Each request with proven credentials changes the revision, even if the entry has
    /// these credentials already: a repeated logout with the scope `others` may be meant for a session that
    /// began after the previous request.
    ///
    /// `was_over` of the result is true if it is true of either entry, even if this entry was tried before.
    /// The session may have ended between the tries, and the gateway does not know which try had an effect.
    /// So the worker may give up a repeated `global` logout as `not_found` although GoTrue carried it out,
    /// but it never reports a logout as done that ended no session.
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

/// Adds credentials as the newest, and returns whether the entry changed. Credentials that the entry has
/// already are not added again. If they were proven once, they stay proven.
fn add(credentials: &mut Vec<SealedCredentials>, added: &SealedCredentials) -> bool {
    if let Some(known) = credentials.iter_mut().find(|c| c.fingerprint == added.fingerprint) {
        let becomes_proven = added.proven && !known.proven;
        known.proven |= added.proven;
        return becomes_proven;
    }
    let is_former =
        |c: &SealedCredentials| Some(&c.fingerprint) == added.former_fingerprint.as_ref();
    let former = credentials.iter().position(is_former).map(|at| credentials.remove(at));
    let proven = added.proven || former.is_some_and(|former| former.proven);
    credentials.insert(0, SealedCredentials { proven, ..added.clone() });
    true
}

/// Removes credentials until [`MOST_CREDENTIALS`] are left, in their order. The proven credentials whose
/// access token expires last always stay, because GoTrue accepts them for the longest time. Of the rest,
/// stale credentials are removed before proven ones, and older ones before newer ones.
fn keep_best(credentials: &mut Vec<SealedCredentials>) {
    let numbered = credentials.iter().enumerate().filter(|(_, c)| c.proven);
    let mut last_to_expire = numbered.max_by_key(|(_, c)| c.exp).map(|(at, _)| at);
    while credentials.len() > MOST_CREDENTIALS {
        let stale = credentials.iter().rposition(|c| !c.proven);
        let oldest = (0..credentials.len()).rfind(|at| Some(*at) != last_to_expire);
        let Some(superfluous) = stale.or(oldest) else { break };
        credentials.remove(superfluous);
        last_to_expire = last_to_expire.map(|at| if at > superfluous { at - 1 } else { at });
    }
}

#[cfg(test)]
mod tests;
