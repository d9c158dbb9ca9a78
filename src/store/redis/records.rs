//! The names of the keys in Redis, and the encoding of the records in them.
//!
//! Every record begins with its version. The key `format` has the highest version of any record of the
//! revocation list: a release that does not support it returns an error and does not answer whether a token
//! is revoked.

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

use super::{super::list::RevocationEntry, error::RedisStoreError};
use crate::{
    clock::from_unix_seconds,
    outcome::{Reason, Stored},
    store::entry::QueueEntry,
};

/// The version that this release writes, and the only one that it reads.
pub(super) const VERSION: &str = "1";
/// The spared session of a cut-off that spares none.
const NO_SESSION: &str = "-";

/// The names of the keys, all of which begin with the configured prefix.
#[derive(Debug)]
pub(super) struct RedisKeys {
    /// A string: the highest version of any record.
    pub(super) format: String,
    /// A counter: the number of changes of the revocation list so far.
    pub(super) sequence: String,
    /// A stream: the latest changes of the revocation list.
    pub(super) changes: String,
    /// A sorted set: ended sessions by the entry's `until`.
    pub(super) sessions: String,
    /// A sorted set: users with cut-offs, by the latest `until` of their cut-offs.
    pub(super) users: String,
    /// The keys of the queue.
    pub(super) queue: QueueKeys,
    /// A list: the failure log, newest first.
    pub(super) failures: String,
    /// The prefix of the keys of the users' failures. Each is a list, newest first.
    pub(super) failures_of_user: String,
    prefix: String,
}

impl RedisKeys {
    pub(super) fn new(prefix: &str) -> Self {
        let key = |name| format!("{prefix}{name}");
        Self {
            format: key("format"),
            sequence: key("sequence"),
            changes: key("changes"),
            sessions: key("sessions"),
            users: key("users"),
            queue: QueueKeys::new(prefix),
            failures: key("failures"),
            failures_of_user: key("failures:user:"),
            prefix: prefix.to_owned(),
        }
    }

    /// The key of a hash: a user's cut-offs by spared session.
    pub(super) fn user(&self, user: Uuid) -> String {
        format!("{}user:{user}", self.prefix)
    }
}

/// The keys of the queue. They contain the version of the records. The first release used other keys, whose
/// entries are moved to these.
#[derive(Debug)]
pub(super) struct QueueKeys {
    /// A sorted set: entry ids by due time.
    pub(super) due: String,
    /// A hash: records by entry id.
    pub(super) records: String,
    /// A hash: states by entry id. Each try changes the state.
    pub(super) states: String,
    /// A sorted set: entry ids by time of queueing.
    pub(super) queued: String,
    /// A sorted set: entry ids by time of the last failure.
    pub(super) failed: String,
    /// A hash by entry id: the revision, the size in bytes, whether the entry is stale, the user and the
    /// session.
    pub(super) index: String,
    /// A hash: the bytes of all entries, and the number and bytes of stale entries.
    pub(super) totals: String,
    /// The prefix of the keys of the users' entry ids. Each is a set.
    pub(super) of_user: String,
    /// The prefix of the keys in which an earlier release counted the entries of each user. Each is a hash.
    pub(super) former_of_user: String,
    /// The keys of the first release: entry ids by due time, records, entry ids by time of queueing.
    pub(super) first_release: [String; 3],
}

impl QueueKeys {
    fn new(prefix: &str) -> Self {
        let key = |name| format!("{prefix}queue:2:{name}");
        Self {
            due: key("due"),
            records: key("records"),
            states: key("states"),
            queued: key("queued"),
            failed: key("failed"),
            index: key("index"),
            totals: key("totals"),
            of_user: key("of-user:"),
            former_of_user: key("user:"),
            first_release: ["queue", "queue:entries", "queue:queued"]
                .map(|name| format!("{prefix}{name}")),
        }
    }

    /// The keys that the scripts of the queue take first, in this order.
    pub(super) fn all(&self) -> [&str; 7] {
        let Self { due, records, states, queued, failed, index, totals, .. } = self;
        [due, records, states, queued, failed, index, totals]
    }
}

/// The key and the arguments of an entry of the revocation list for `revoke.lua`.
pub(super) struct RevocationArguments {
    pub(super) key: String,
    pub(super) arguments: [String; 4],
}

impl RevocationArguments {
    pub(super) fn of(entry: RevocationEntry, keys: &RedisKeys) -> Self {
        let number = |time: Timestamp| time.as_second().max(0).to_string();
        match entry {
            RevocationEntry::Session { session, until } => Self {
                key: keys.sessions.clone(),
                arguments: [session.to_string(), String::new(), "0".to_owned(), number(until)],
            },
            RevocationEntry::CutOff { user, spared, before, until } => Self {
                key: keys.user(user),
                arguments: [user.to_string(), spared_text(spared), number(before), number(until)],
            },
        }
    }
}

fn seconds(text: &str) -> Option<Timestamp> {
    text.parse().ok().map(from_unix_seconds)
}

fn spared_text(spared: Option<Uuid>) -> String {
    spared.map_or_else(|| NO_SESSION.to_owned(), |session| session.to_string())
}

fn spared(text: &str) -> Result<Option<Uuid>, uuid::Error> {
    if text == NO_SESSION { Ok(None) } else { text.parse().map(Some) }
}

/// Splits a record of this release's version into its words; `None` for another version.
fn words(record: &str) -> Option<Vec<&str>> {
    let (version, rest) = record.split_once(' ')?;
    (version == VERSION).then(|| rest.split(' ').collect())
}

fn read<T>(parsed: Option<T>) -> Result<T, RedisStoreError> {
    parsed.ok_or_else(RedisStoreError::newer_release)
}

/// Decodes a change of the stream.
pub(super) fn change(record: &str) -> Result<RevocationEntry, RedisStoreError> {
    let parsed = || match *words(record)?.as_slice() {
        ["session", session, until] => Some(RevocationEntry::Session {
            session: session.parse().ok()?,
            until: seconds(until)?,
        }),
        ["cut-off", user, spares, before, until] => Some(RevocationEntry::CutOff {
            user: user.parse().ok()?,
            spared: spared(spares).ok()?,
            before: seconds(before)?,
            until: seconds(until)?,
        }),
        _ => None,
    };
    read(parsed())
}

/// Encodes a session as a member of the sorted set.
pub(super) fn session_member(session: Uuid) -> String {
    format!("{VERSION} {session}")
}

/// Decodes a member of the sorted set of sessions and its score.
pub(super) fn session(member: &str, until: &str) -> Result<RevocationEntry, RedisStoreError> {
    let parsed = || match *words(member)?.as_slice() {
        [session] => Some(RevocationEntry::Session {
            session: session.parse().ok()?,
            until: seconds(until)?,
        }),
        _ => None,
    };
    read(parsed())
}

/// Decodes a user's cut-off from a field and its value in the hash.
pub(super) fn cut_off(
    user: Uuid,
    spares: &str,
    record: &str,
) -> Result<RevocationEntry, RedisStoreError> {
    let parsed = || match *words(record)?.as_slice() {
        [before, until] => Some(RevocationEntry::CutOff {
            user,
            spared: spared(spares).ok()?,
            before: seconds(before)?,
            until: seconds(until)?,
        }),
        _ => None,
    };
    read(parsed())
}

/// Decodes a member of the sorted set of users.
pub(super) fn user(member: &str) -> Result<Uuid, RedisStoreError> {
    read(member.parse().ok())
}

/// Verifies that this release can read records of this format version. A Redis without data has none.
pub(super) fn readable(format: Option<&str>) -> Result<(), RedisStoreError> {
    read(format.is_none_or(|format| format == VERSION).then_some(()))
}

/// Encodes a value as JSON, after the version of the format.
pub(super) fn encode<T: Serialize>(value: &T) -> Result<String, RedisStoreError> {
    encode_versioned(VERSION, value)
}

/// Decodes the text that [`encode`] returned; `None` if a newer release wrote it.
pub(super) fn decode<T: DeserializeOwned>(record: &str) -> Option<T> {
    decode_versioned(VERSION, record)
}

/// The version of the records of queued logouts.
const ENTRY_VERSION: &str = "2";

/// Encodes a queued logout, for the Redis hash of queued logouts: the version of the format, then JSON.
pub(super) fn encode_entry(entry: &QueueEntry) -> Result<String, RedisStoreError> {
    encode_versioned(ENTRY_VERSION, entry)
}

/// Decodes what [`encode_entry`] encoded; `None` if a newer release wrote it.
pub(super) fn decode_entry(record: &str) -> Option<QueueEntry> {
    decode_versioned(ENTRY_VERSION, record)
}

/// The part of a queued logout that each try changes. Its times are scores of sorted sets.
#[derive(Serialize, Deserialize)]
pub(super) struct RetryState {
    pub(super) attempts: u32,
    pub(super) reason: Stored<Reason>,
    pub(super) tried: bool,
}

impl RetryState {
    pub(super) fn of(entry: &QueueEntry) -> Self {
        let QueueEntry { attempts, ref reason, tried, .. } = *entry;
        Self { attempts, reason: reason.clone(), tried }
    }
}

fn encode_versioned<T: Serialize>(version: &str, value: &T) -> Result<String, RedisStoreError> {
    let json = serde_json::to_string(value);
    json.map(|json| format!("{version} {json}"))
        .map_err(|cause| RedisStoreError::permanent(cause.to_string()))
}

fn decode_versioned<T: DeserializeOwned>(expected: &str, record: &str) -> Option<T> {
    let (version, json) = record.split_once(' ')?;
    let value = (version == expected).then(|| serde_json::from_str(json).ok()).flatten();
    if value.is_none() {
        tracing::warn!(
            version,
            "Redis has a record that this release cannot read, and the gateway skips it: run the release that wrote it"
        );
    }
    value
}
