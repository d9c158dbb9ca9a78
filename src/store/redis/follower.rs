//! Keeps the replica of the revocation list up to date.
//!
//! 1. The follower reads the whole list once, and then the stream of changes. Any answer, even an empty one,
//!    proves that the replica was complete when the query was sent.
//! 2. The changes are numbered. If a number is missing or decreases, or the connection breaks, the follower
//!    reads the whole list again before the replica is trusted.
//! 3. The follower writes the entries that the replica has and Redis lacks: those that Redis did not take,
//!    and all of them if Redis lost its data.
//! 4. Each query starts with a write that changes nothing. A former master, or a Redis that takes no writes,
//!    refuses it, so its answers are not used.

use std::{convert::Infallible, time::Duration};

use redis::{FromRedisValue, Pipeline, pipe};
use tokio::time::{Instant, sleep};

use super::{
    RedisStore, commands, connection::converted, error::RedisStoreError, records,
    server::RedisConnection,
};
use crate::store::list::{RevocationEntry, RevocationList};

/// How long Redis waits for a change before it answers (`XREAD BLOCK`).
const HOLD: Duration = Duration::from_millis(500);
/// How long the follower waits for an answer; longer than [`HOLD`].
const TIMEOUT: Duration = Duration::from_millis(1500);
/// The most changes, or entries, in one answer.
const PAGE: usize = 1000;

/// The last change that the replica has.
struct Position {
    number: u64,
    id: String,
}

/// Entries of the stream: their ids and fields.
type Entries = Vec<(String, Vec<String>)>;
/// The format version, the number of changes so far, and the last change.
type LatestChange = (Option<String>, Option<u64>, Entries);
/// The format version, the number of changes so far, and the new changes of each stream that was read.
type ChangesSince = (Option<String>, Option<u64>, Option<Vec<(String, Entries)>>);

/// Logs an error when it first occurs and when it changes, not at each retry; logs the recovery once.
#[derive(Default)]
struct FollowerLog(Option<RedisStoreError>);

impl FollowerLog {
    fn report_failure(&mut self, fault: RedisStoreError) {
        if self.0.as_ref() != Some(&fault) {
            tracing::warn!(cause = %fault, "the store cannot follow the revocation list in Redis and asks Redis about each token until it can");
            self.0 = Some(fault);
        }
    }

    fn report_recovery(&mut self) {
        if self.0.take().is_some() {
            tracing::info!("the store follows the revocation list in Redis again");
        }
    }
}

impl RedisStore {
    /// Keeps the replica up to date; never returns. Reconnects after an error.
    pub(super) async fn follow(&self) {
        let mut log = FollowerLog::default();
        loop {
            let Err(fault) = self.follow_one_connection(&mut log).await;
            self.replica.mark_failed();
            if fault.is_newer_release() {
                self.replica.set_unreadable(true);
            }
            let wait = fault.wait();
            log.report_failure(fault);
            sleep(wait).await;
        }
    }

    /// Keeps the replica up to date until the connection breaks.
    async fn follow_one_connection(
        &self,
        log: &mut FollowerLog,
    ) -> Result<Infallible, RedisStoreError> {
        self.connection.wait_until_up().await?;
        let mut connection = self.server.connect(TIMEOUT).await?;
        loop {
            let known = self.read_all(&mut connection).await?;
            self.replica.set_unreadable(false);
            self.read_changes(&mut connection, known, log).await?;
        }
    }

    /// Reads the whole list into the replica, and writes the entries that Redis lacks.
    async fn read_all(
        &self,
        connection: &mut RedisConnection,
    ) -> Result<Position, RedisStoreError> {
        let keys = &self.keys;
        self.replica.clear_ahead();
        let ((format, number, last),): (LatestChange,) =
            query(&commands::latest_change(keys), connection).await?;
        records::readable(format.as_deref())?;
        let id = last.into_iter().next().map_or_else(|| "0-0".to_owned(), |(id, _)| id);

        let in_redis = RevocationList::default();
        self.read_sessions(connection, &in_redis).await?;
        self.read_users(connection, &in_redis).await?;
        let missing: Vec<RevocationEntry> =
            self.replica.list.entries().filter(|entry| !in_redis.contains(entry)).collect();
        for lines in missing.chunks(PAGE) {
            query::<()>(&commands::revoke(&self.keys, lines), connection).await?;
        }
        Ok(Position { number: number.unwrap_or(0), id })
    }

    async fn read_sessions(
        &self,
        connection: &mut RedisConnection,
        in_redis: &RevocationList,
    ) -> Result<(), RedisStoreError> {
        let mut cursor = Some(0);
        while let Some(from) = cursor {
            let (next, page) = scan_page(&self.keys.sessions, from, connection).await?;
            for (member, until) in page {
                self.insert_in_both(records::session(&member, &until)?, in_redis);
            }
            self.replica.record_answer(Instant::now());
            cursor = next;
        }
        Ok(())
    }

    async fn read_users(
        &self,
        connection: &mut RedisConnection,
        in_redis: &RevocationList,
    ) -> Result<(), RedisStoreError> {
        let mut cursor = Some(0);
        while let Some(from) = cursor {
            let (next, page) = scan_page(&self.keys.users, from, connection).await?;
            let users = page.iter().map(|(member, _)| records::user(member));
            let users = users.collect::<Result<Vec<_>, _>>()?;
            let mut cut_offs = pipe();
            for user in &users {
                cut_offs.cmd("HGETALL").arg(self.keys.user(*user));
            }
            let found: Vec<Vec<(String, String)>> =
                if users.is_empty() { Vec::new() } else { query(&cut_offs, connection).await? };
            for (user, cut_offs) in users.into_iter().zip(found) {
                for (spared, record) in cut_offs {
                    self.insert_in_both(records::cut_off(user, &spared, &record)?, in_redis);
                }
            }
            cursor = next;
        }
        Ok(())
    }

    fn insert_in_both(&self, entry: RevocationEntry, in_redis: &RevocationList) {
        self.replica.insert(entry);
        in_redis.insert(entry);
    }

    /// Reads changes until one is missing, or until the replica has entries that Redis lacks. The caller then
    /// reads the whole list again.
    async fn read_changes(
        &self,
        connection: &mut RedisConnection,
        mut known: Position,
        log: &mut FollowerLog,
    ) -> Result<(), RedisStoreError> {
        while !self.replica.is_ahead() {
            let asked_at = Instant::now();
            let (numbered, page) = self.changes_since(&known, connection).await?;
            // The number decreased: Redis lost its data while the connection held.
            if numbered < known.number {
                self.report_gap();
                return Ok(());
            }
            let whole = page.len() < PAGE;
            for (id, fields) in page {
                let (number, entry) = change(&fields)?;
                if number != known.number.wrapping_add(1) {
                    self.report_gap();
                    return Ok(());
                }
                self.replica.insert(entry);
                known = Position { number, id };
            }
            if whole && known.number < numbered {
                self.report_gap();
                return Ok(());
            }
            if whole {
                self.replica.mark_complete(asked_at);
                log.report_recovery();
            }
        }
        Ok(())
    }

    fn report_gap(&self) {
        self.replica.distrust();
        tracing::info!(
            "the store missed changes of the revocation list in Redis and reads the whole list again"
        );
    }

    /// The number of the last change, and the changes after `known`.
    async fn changes_since(
        &self,
        known: &Position,
        connection: &mut RedisConnection,
    ) -> Result<(u64, Entries), RedisStoreError> {
        let mut question = commands::guarded_query(&self.keys);
        question.cmd("GET").arg(&self.keys.sequence);
        let xread = question.cmd("XREAD").arg("COUNT").arg(PAGE);
        // Block only while the replica is trusted: an untrusted replica needs the answer at once.
        if self.replica.is_trusted() {
            xread.arg("BLOCK").arg(HOLD.as_millis().to_string());
        }
        xread.arg("STREAMS").arg(&self.keys.changes).arg(&known.id);
        let (format, number, changes): ChangesSince = query(&question, connection).await?;
        records::readable(format.as_deref())?;
        let entries = changes.into_iter().flatten().flat_map(|(_, entries)| entries).collect();
        Ok((number.unwrap_or(0), entries))
    }
}

async fn query<T: FromRedisValue>(
    question: &Pipeline,
    connection: &mut RedisConnection,
) -> Result<T, RedisStoreError> {
    converted(question.query_async(connection).await?)
}

/// Reads a page of a sorted set, and the cursor of the next page; `None` after the last page.
async fn scan_page(
    key: &str,
    from: u64,
    connection: &mut RedisConnection,
) -> Result<(Option<u64>, Vec<(String, String)>), RedisStoreError> {
    let mut scan = pipe();
    scan.cmd("ZSCAN").arg(key).arg(from).arg("COUNT").arg(PAGE);
    let ((next, page),): ((u64, Vec<(String, String)>),) = query(&scan, connection).await?;
    Ok(((next != 0).then_some(next), page))
}

/// Decodes a change of the stream: its number and its entry.
fn change(fields: &[String]) -> Result<(u64, RevocationEntry), RedisStoreError> {
    match fields {
        [n, number, line, record] if n == "n" && line == "line" => match number.parse() {
            Ok(number) => Ok((number, records::change(record)?)),
            Err(_) => Err(RedisStoreError::newer_release()),
        },
        _ => Err(RedisStoreError::newer_release()),
    }
}
