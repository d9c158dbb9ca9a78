//! The Redis commands that read and change the revocation list.

use std::time::Duration;

use jiff::Timestamp;
use redis::{Pipeline, pipe};

use super::{
    super::list::RevocationEntry,
    records::{RedisKeys, RevocationArguments, VERSION},
};

/// The number of changes that the stream keeps. An instance that missed more changes reads the whole list.
const CHANGES_KEPT: usize = 10_000;
/// How long Redis keeps a key after its entries have expired, because the clocks of gateways and Redis may
/// differ.
const GRACE: Duration = Duration::from_hours(24);

const REVOKE: &str = include_str!("revoke.lua");
const LATEST_CHANGE: &str = include_str!("latest_change.lua");
const PURGE_EXPIRED: &str = include_str!("purge_expired.lua");

/// Adds entries to the revocation list in Redis.
pub(super) fn revoke(keys: &RedisKeys, entries: &[RevocationEntry]) -> Pipeline {
    let lines: Vec<RevocationArguments> =
        entries.iter().map(|entry| RevocationArguments::of(*entry, keys)).collect();
    let mut names = vec![&*keys.sequence, &keys.changes, &keys.sessions, &keys.users, &keys.format];
    names.extend(lines.iter().map(|line| &*line.key));
    let mut commands = pipe();
    let script = script(&mut commands, REVOKE, &names);
    script.arg(CHANGES_KEPT).arg(GRACE.as_secs()).arg(VERSION);
    for argument in lines.iter().flat_map(|line| &line.arguments) {
        script.arg(argument);
    }
    commands
}

/// Removes the entries that have expired at `now` from the revocation list in Redis.
pub(super) fn purge_expired(keys: &RedisKeys, now: Timestamp) -> Pipeline {
    let mut commands = pipe();
    script(&mut commands, PURGE_EXPIRED, &[&keys.sessions, &keys.users]).arg(now.as_second());
    commands
}

/// Starts a query of the revocation list with a write that changes nothing and needs no memory. A Redis that
/// refuses this write takes no revocations either, so its answers must not be used. The first answer is the
/// format version.
pub(super) fn guarded_query(keys: &RedisKeys) -> Pipeline {
    let mut commands = pipe();
    commands.cmd("ZREM").arg(&keys.sessions).arg("").ignore();
    commands.cmd("GET").arg(&keys.format);
    commands
}

/// Reads the format version, the number of changes, and the last change, atomically.
pub(super) fn latest_change(keys: &RedisKeys) -> Pipeline {
    let mut commands = pipe();
    script(
        &mut commands,
        LATEST_CHANGE,
        &[&keys.sessions, &keys.format, &keys.sequence, &keys.changes],
    );
    commands
}

/// Adds a script to `commands`; the caller adds its arguments. The whole script is sent each time, because a
/// restarted Redis does not know its hash.
pub(super) fn script<'p>(
    commands: &'p mut Pipeline,
    code: &str,
    keys: &[&str],
) -> &'p mut Pipeline {
    commands.cmd("EVAL").arg(code).arg(keys.len()).arg(keys)
}
