//! What is written into Redis, and under which keys.
//!
//! Every record begins with its version. `format` names the highest version that any record may have: a
//! release that does not know it cannot tell who is on the list, and says so.

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

use super::{super::list::RevocationEntry, error::RedisStoreError};
use crate::{
    clock::from_unix_seconds,
    outcome::{Reason, Stored},
    queue::entry::QueueEntry,
};

/// The version of the records that are written here, and the only one that is read.
pub(super) const VERSION: &str = "1";
/// In place of a spared session.
const NOBODY: &str = "-";

/// The keys, all of which begin with the prefix.
#[derive(Debug)]
pub(super) struct RedisKeys {
    /// The highest version of any record.
    pub(super) format: String,
    /// How many changes there have been.
    pub(super) sequence: String,
    /// The latest of them: a stream.
    pub(super) changes: String,
    /// Ended sessions: a sorted set by until when they are remembered.
    pub(super) sessions: String,
    /// Users with cut-offs: a sorted set by the latest of them.
    pub(super) users: String,
    /// Queued revocations.
    pub(super) queue: QueueKeys,
    /// The failure log: a list, newest first.
    pub(super) failures: String,
    /// What the keys of the failures of each user begin with: lists, newest first.
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

    /// A user's cut-offs: a hash by spared session.
    pub(super) fn user(&self, user: Uuid) -> String {
        format!("{}user:{user}", self.prefix)
    }
}

/// The keys of queued revocations. Their number is the version of the records: the first release keeps
/// its own keys, which are emptied into these.
#[derive(Debug)]
pub(super) struct QueueKeys {
    /// Ids by when they are due: a sorted set.
    pub(super) due: String,
    /// Records by id: a hash.
    pub(super) records: String,
    /// How each entry stands, by id: a hash.
    pub(super) states: String,
    /// Ids by when they were queued: a sorted set.
    pub(super) queued: String,
    /// Ids by when they failed last: a sorted set.
    pub(super) failed: String,
    /// What removing needs to know of each entry, by id: a hash.
    pub(super) index: String,
    /// Bytes, and entries and bytes of stale sessions: a hash.
    pub(super) totals: String,
    /// What the keys of the ids of each user's entries begin with: sets.
    pub(super) of_user: String,
    /// What the keys begin with under which an earlier release counted each user's sessions: hashes.
    pub(super) former_of_user: String,
    /// The first release's: ids by when they are due, records, and when they were queued.
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

    /// The keys that every script of the queue gets, in this order.
    pub(super) fn all(&self) -> [&str; 7] {
        let Self { due, records, states, queued, failed, index, totals, .. } = self;
        [due, records, states, queued, failed, index, totals]
    }
}

/// A line of the revocation list, as `revoke.lua` takes it.
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
    spared.map_or_else(|| NOBODY.to_owned(), |session| session.to_string())
}

fn spared(text: &str) -> Result<Option<Uuid>, uuid::Error> {
    if text == NOBODY { Ok(None) } else { text.parse().map(Some) }
}

/// The words of a record of our version.
fn words(record: &str) -> Option<Vec<&str>> {
    let (version, rest) = record.split_once(' ')?;
    (version == VERSION).then(|| rest.split(' ').collect())
}

fn read<T>(parsed: Option<T>) -> Result<T, RedisStoreError> {
    parsed.ok_or_else(RedisStoreError::newer_release)
}

/// A change.
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

/// A session in the sorted set.
pub(super) fn session_member(session: Uuid) -> String {
    format!("{VERSION} {session}")
}

/// A member of the sorted set and its score.
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

/// A user's cut-off: the spared session and the rest.
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

/// A member of the sorted set of users.
pub(super) fn user(member: &str) -> Result<Uuid, RedisStoreError> {
    read(member.parse().ok())
}

/// Whether records of this format can be read here; none is one that nobody has written yet.
pub(super) fn readable(format: Option<&str>) -> Result<(), RedisStoreError> {
    read(format.is_none_or(|format| format == VERSION).then_some(()))
}

/// A failed logout, to be written.
pub(super) fn encode<T: Serialize>(value: &T) -> Result<String, RedisStoreError> {
    encode_versioned(VERSION, value)
}

/// The same, read again. `None` for what a newer release wrote, which that will see to.
pub(super) fn decode<T: DeserializeOwned>(record: &str) -> Option<T> {
    decode_versioned(VERSION, record)
}

/// The version of entries of the queue.
const ENTRY_VERSION: &str = "2";

/// An entry of the queue, to be written.
pub(super) fn encode_entry(entry: &QueueEntry) -> Result<String, RedisStoreError> {
    encode_versioned(ENTRY_VERSION, entry)
}

/// The same, read again. `None` for what a newer release wrote.
pub(super) fn decode_entry(record: &str) -> Option<QueueEntry> {
    decode_versioned(ENTRY_VERSION, record)
}

/// What changes of an entry at each try. Times are scores of sorted sets.
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
        tracing::warn!(version, "a record that this release cannot read is left alone");
    }
    value
}
