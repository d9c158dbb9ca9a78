//! What Redis is asked about the revocation list.

use std::time::Duration;

use jiff::Timestamp;
use redis::{Pipeline, pipe};

use super::{
    super::list::RevocationEntry,
    records::{RedisKeys, RevocationArguments, VERSION},
};

/// Changes that are kept for instances that were away; who misses more reads the whole list.
const CHANGES_KEPT: usize = 10_000;
/// How much longer than its lines a key lives: clocks differ.
const GRACE: Duration = Duration::from_hours(24);

const REVOKE: &str = include_str!("revoke.lua");
const NEWEST: &str = include_str!("newest.lua");
const FORGET: &str = include_str!("forget.lua");

/// Enters these lines into the list that all share.
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

/// Forgets what is outlived at `now`.
pub(super) fn purge_expired(keys: &RedisKeys, now: Timestamp) -> Pipeline {
    let mut commands = pipe();
    script(&mut commands, FORGET, &[&keys.sessions, &keys.users]).arg(now.as_second());
    commands
}

/// A question about the list. The write that it begins with changes nothing and needs no room: a Redis that
/// refuses it does not hear of logouts either. The first answer is the format.
pub(super) fn guarded_query(keys: &RedisKeys) -> Pipeline {
    let mut commands = pipe();
    commands.cmd("ZREM").arg(&keys.sessions).arg("").ignore();
    commands.cmd("GET").arg(&keys.format);
    commands
}

/// Asks for the format, how many changes there were, and the last of them, as of one moment.
pub(super) fn newest(keys: &RedisKeys) -> Pipeline {
    let mut commands = pipe();
    script(&mut commands, NEWEST, &[&keys.sessions, &keys.format, &keys.sequence, &keys.changes]);
    commands
}

/// Adds a script to `commands`; its arguments follow. It is sent whole each time: a Redis that was
/// restarted knows none by its hash.
pub(super) fn script<'p>(
    commands: &'p mut Pipeline,
    code: &str,
    keys: &[&str],
) -> &'p mut Pipeline {
    commands.cmd("EVAL").arg(code).arg(keys.len()).arg(keys)
}
