//! Keeps the copy of the revocation list as Redis has it.
//!
//! 1. It reads the whole list once, and from then on the stream of changes. An answer, even an empty one,
//!    proves that the copy was complete when Redis was asked.
//! 2. The changes are numbered. After a gap between two numbers, after a number that is lower than one
//!    before, and after any gap in the connection, it reads the whole list again before the copy is
//!    trusted.
//! 3. What the copy has and Redis lacks, it writes: what could not be written at once, and everything,
//!    into a Redis that came up empty.
//! 4. Each question begins with a write that changes nothing. A master that was deposed, or cannot take
//!    the logouts of others, refuses it, and its answers are worth nothing.

use std::{convert::Infallible, time::Duration};

use redis::{FromRedisValue, Pipeline, pipe};
use tokio::time::{Instant, sleep};

use super::{RedisStore, commands, error::Fault, records, server::Connection};
use crate::store::list::{RevocationEntry, RevocationList};

/// How long Redis holds a question for changes back when there are none.
const HOLD: Duration = Duration::from_millis(500);
/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_millis(1500);
/// Changes and lines at a time.
const PAGE: usize = 1000;

/// How far the changes are known.
struct Known {
    /// The last one's number.
    number: u64,
    /// Its id in the stream.
    id: String,
}

/// Entries of the stream: id and fields.
type Entries = Vec<(String, Vec<String>)>;
/// The format, how many changes there were, and the last of them.
type Newest = (Option<String>, Option<u64>, Entries);
/// The format, how many changes there were, and those of each stream that was asked for.
type Since = (Option<String>, Option<u64>, Option<Vec<(String, Entries)>>);

/// What the log tells once.
#[derive(Default)]
struct Told(Option<Fault>);

impl Told {
    fn fault(&mut self, fault: Fault) {
        if self.0.as_ref() != Some(&fault) {
            tracing::warn!(cause = %fault, "the revocation list cannot be followed");
            self.0 = Some(fault);
        }
    }

    fn well(&mut self) {
        if self.0.take().is_some() {
            tracing::info!("the revocation list is followed again");
        }
    }
}

impl RedisStore {
    /// For ever.
    pub(super) async fn follow(&self) {
        let mut told = Told::default();
        loop {
            let Err(fault) = self.follow_on(&mut told).await;
            self.copy.has_failed();
            if fault.is_newer() {
                self.copy.is_unreadable(true);
            }
            let wait = fault.wait();
            told.fault(fault);
            sleep(wait).await;
        }
    }

    /// As long as a connection holds.
    async fn follow_on(&self, told: &mut Told) -> Result<Infallible, Fault> {
        self.link.reachable().await?;
        let mut connection = self.server.connect(PATIENCE).await?;
        loop {
            let known = self.read_all(&mut connection).await?;
            self.copy.is_unreadable(false);
            self.read_changes(&mut connection, known, told).await?;
        }
    }

    /// Reads the whole list, and writes what it lacks.
    async fn read_all(&self, connection: &mut Connection) -> Result<Known, Fault> {
        let keys = &self.keys;
        self.copy.catching_up();
        let ((format, number, last),): (Newest,) =
            asked(&commands::newest(keys), connection).await?;
        records::readable(format.as_deref())?;
        let id = last.into_iter().next().map_or_else(|| "0-0".to_owned(), |(id, _)| id);

        let theirs = RevocationList::default();
        self.read_sessions(connection, &theirs).await?;
        self.read_users(connection, &theirs).await?;
        let missing: Vec<RevocationEntry> =
            self.copy.list.marks().filter(|mark| !theirs.holds(mark)).collect();
        for lines in missing.chunks(PAGE) {
            asked::<()>(&commands::entering(&self.keys, lines), connection).await?;
        }
        Ok(Known { number: number.unwrap_or(0), id })
    }

    async fn read_sessions(
        &self,
        connection: &mut Connection,
        theirs: &RevocationList,
    ) -> Result<(), Fault> {
        let mut cursor = Some(0);
        while let Some(from) = cursor {
            let (next, page) = scanned(&self.keys.sessions, from, connection).await?;
            for (member, until) in page {
                self.learn(records::session(&member, &until)?, theirs);
            }
            self.copy.was_answered(Instant::now());
            cursor = next;
        }
        Ok(())
    }

    async fn read_users(
        &self,
        connection: &mut Connection,
        theirs: &RevocationList,
    ) -> Result<(), Fault> {
        let mut cursor = Some(0);
        while let Some(from) = cursor {
            let (next, page) = scanned(&self.keys.users, from, connection).await?;
            let users = page.iter().map(|(member, _)| records::user(member));
            let users = users.collect::<Result<Vec<_>, _>>()?;
            let mut cut_offs = pipe();
            for user in &users {
                cut_offs.cmd("HGETALL").arg(self.keys.user(*user));
            }
            let found: Vec<Vec<(String, String)>> =
                if users.is_empty() { Vec::new() } else { asked(&cut_offs, connection).await? };
            for (user, cut_offs) in users.into_iter().zip(found) {
                for (spared, record) in cut_offs {
                    self.learn(records::cut_off(user, &spared, &record)?, theirs);
                }
            }
            cursor = next;
        }
        Ok(())
    }

    fn learn(&self, mark: RevocationEntry, theirs: &RevocationList) {
        self.copy.enter(mark);
        theirs.enter(mark);
    }

    /// Reads change after change, until one is missing or there is something to write.
    async fn read_changes(
        &self,
        connection: &mut Connection,
        mut known: Known,
        told: &mut Told,
    ) -> Result<(), Fault> {
        while !self.copy.ahead() {
            let asked_at = Instant::now();
            let (numbered, page) = self.changes_since(&known, connection).await?;
            // Redis has begun to count anew: it lost its data while the connection held.
            if numbered < known.number {
                self.missed();
                return Ok(());
            }
            let whole = page.len() < PAGE;
            for (id, fields) in page {
                let (number, mark) = change(&fields)?;
                if number != known.number.wrapping_add(1) {
                    self.missed();
                    return Ok(());
                }
                self.copy.enter(mark);
                known = Known { number, id };
            }
            if whole && known.number < numbered {
                self.missed();
                return Ok(());
            }
            if whole {
                self.copy.was_complete(asked_at);
                told.well();
            }
        }
        Ok(())
    }

    fn missed(&self) {
        self.copy.distrust();
        tracing::info!("changes of the revocation list were missed: it is read again");
    }

    /// How many changes there were, and those that are not known yet.
    async fn changes_since(
        &self,
        known: &Known,
        connection: &mut Connection,
    ) -> Result<(u64, Entries), Fault> {
        let mut question = commands::guarded(&self.keys);
        question.cmd("GET").arg(&self.keys.sequence);
        let xread = question.cmd("XREAD").arg("COUNT").arg(PAGE);
        // An untrusted copy is in a hurry.
        if self.copy.trusted() {
            xread.arg("BLOCK").arg(HOLD.as_millis().to_string());
        }
        xread.arg("STREAMS").arg(&self.keys.changes).arg(&known.id);
        let (format, number, changes): Since = asked(&question, connection).await?;
        records::readable(format.as_deref())?;
        let entries = changes.into_iter().flatten().flat_map(|(_, entries)| entries).collect();
        Ok((number.unwrap_or(0), entries))
    }
}

async fn asked<T: FromRedisValue>(
    question: &Pipeline,
    connection: &mut Connection,
) -> Result<T, Fault> {
    Ok(question.query_async(connection).await?)
}

/// A page of a sorted set, and where the next one begins.
async fn scanned(
    key: &str,
    from: u64,
    connection: &mut Connection,
) -> Result<(Option<u64>, Vec<(String, String)>), Fault> {
    let mut scan = pipe();
    scan.cmd("ZSCAN").arg(key).arg(from).arg("COUNT").arg(PAGE);
    let ((next, page),): ((u64, Vec<(String, String)>),) = asked(&scan, connection).await?;
    Ok(((next != 0).then_some(next), page))
}

/// A change's number and what it says.
fn change(fields: &[String]) -> Result<(u64, RevocationEntry), Fault> {
    match fields {
        [n, number, line, record] if n == "n" && line == "line" => match number.parse() {
            Ok(number) => Ok((number, records::change(record)?)),
            Err(_) => Err(Fault::newer()),
        },
        _ => Err(Fault::newer()),
    }
}
