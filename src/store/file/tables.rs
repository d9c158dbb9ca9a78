//! What is in the file, and how one transaction changes it. Keys in tables of one kind are never
//! changed by hand: an entry of the queue is in `queue` and in `due`, or in neither.

use std::io;

use redb::{
    CommitError, DatabaseError, ReadTransaction, ReadableTable, ReadableTableMetadata,
    StorageError, Table, TableDefinition, TableError, TableHandle, TransactionError,
    WriteTransaction,
};
use uuid::Uuid;

use super::{
    super::{
        Contents, FAILURES_KEPT,
        failure::Failure,
        list::{List, Mark},
    },
    queue::entries_by_due,
    records::{Unreadable, read, read_json, written, written_json},
};
use crate::queue::entry::Entry;

/// Session to until when it is remembered.
const SESSIONS: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("sessions");
/// User and spared session, zero for none, to the cut-off and until when it is remembered.
const CUT_OFFS: TableDefinition<'_, (u128, u128), &[u8]> = TableDefinition::new("cut_offs");
/// Id to entry.
const QUEUE: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("queue");
/// The ids by when they are due.
const DUE: TableDefinition<'_, (i64, u128), ()> = TableDefinition::new("due");
/// When they were queued, each with its id.
const QUEUED: TableDefinition<'_, (i64, u128), ()> = TableDefinition::new("queued");
/// Number to failure, the latest last.
const FAILURES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("failures");

/// Why the file cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error(transparent)]
    Open(#[from] DatabaseError),
    #[error(transparent)]
    Begin(#[from] TransactionError),
    #[error(transparent)]
    Table(#[from] TableError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

impl From<io::Error> for Fault {
    fn from(cause: io::Error) -> Self {
        Self::Open(StorageError::Io(cause).into())
    }
}

/// All tables, within one transaction.
pub(super) struct Tables<'t> {
    sessions: Table<'t, u128, &'static [u8]>,
    cut_offs: Table<'t, (u128, u128), &'static [u8]>,
    pub(super) queue: Table<'t, u128, &'static [u8]>,
    pub(super) due: Table<'t, (i64, u128), ()>,
    pub(super) queued: Table<'t, (i64, u128), ()>,
    failures: Table<'t, u64, &'static [u8]>,
    /// Whether there is anything to commit.
    pub(super) changed: bool,
}

impl<'t> Tables<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, Fault> {
        Ok(Self {
            sessions: transaction.open_table(SESSIONS)?,
            cut_offs: transaction.open_table(CUT_OFFS)?,
            queue: transaction.open_table(QUEUE)?,
            due: transaction.open_table(DUE)?,
            queued: transaction.open_table(QUEUED)?,
            failures: transaction.open_table(FAILURES)?,
            changed: false,
        })
    }

    /// Reads everything once: what this release cannot read, it shall not find in the middle of
    /// something. The list is kept in memory.
    pub(super) fn load(&self) -> Result<List, Fault> {
        let list = List::default();
        for line in self.sessions.iter()? {
            let (session, value) = line?;
            let [until] = read(value.value())?;
            list.enter(Mark::Session { session: Uuid::from_u128(session.value()), until });
        }
        for line in self.cut_offs.iter()? {
            let (key, value) = line?;
            let (user, spared) = key.value();
            let [before, until] = read(value.value())?;
            let spared = (spared != 0).then(|| Uuid::from_u128(spared));
            list.enter(Mark::CutOff { user: Uuid::from_u128(user), spared, before, until });
        }
        for line in self.queue.iter()? {
            read_json::<Entry>(line?.1.value())?;
        }
        for line in self.failures.iter()? {
            read_json::<Failure>(line?.1.value())?;
        }
        Ok(list)
    }

    /// Of two lines for the same key, the later ends count.
    pub(super) fn enter(&mut self, marks: &[Mark]) -> Result<(), Fault> {
        for mark in marks {
            match *mark {
                Mark::Session { session, until } => {
                    let key = session.as_u128();
                    let [known] = self.session(key)?.unwrap_or([i64::MIN]);
                    self.sessions.insert(key, &*written([until.max(known)]))?;
                }
                Mark::CutOff { user, spared, before, until } => {
                    let key = (user.as_u128(), spared.map_or(0, |session| session.as_u128()));
                    let known = self.cut_off(key)?.unwrap_or([i64::MIN; 2]);
                    let later = [before.max(known[0]), until.max(known[1])];
                    self.cut_offs.insert(key, &*written(later))?;
                }
            }
            self.changed = true;
        }
        Ok(())
    }

    fn session(&self, key: u128) -> Result<Option<[i64; 1]>, Fault> {
        let value = self.sessions.get(key)?;
        Ok(value.map(|value| read(value.value())).transpose()?)
    }

    fn cut_off(&self, key: (u128, u128)) -> Result<Option<[i64; 2]>, Fault> {
        let value = self.cut_offs.get(key)?;
        Ok(value.map(|value| read(value.value())).transpose()?)
    }

    /// Removes those of the lines that no living token can match at `now`.
    pub(super) fn forget(&mut self, marks: &[Mark], now: i64) -> Result<(), Fault> {
        for mark in marks {
            // They may have been entered again since they were found.
            match *mark {
                Mark::Session { session, .. } => {
                    let key = session.as_u128();
                    if self.session(key)?.is_some_and(|[until]| until <= now) {
                        self.sessions.remove(key)?;
                        self.changed = true;
                    }
                }
                Mark::CutOff { user, spared, .. } => {
                    let key = (user.as_u128(), spared.map_or(0, |session| session.as_u128()));
                    if self.cut_off(key)?.is_some_and(|[_, until]| until <= now) {
                        self.cut_offs.remove(key)?;
                        self.changed = true;
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn note(&mut self, failures: &[Failure]) -> Result<(), Fault> {
        let last = self.failures.last()?.map(|(number, _)| number.value());
        for (number, failure) in (last.map_or(0, |last| last + 1)..).zip(failures) {
            self.failures.insert(number, &*written_json(failure)?)?;
            self.changed = true;
        }
        let kept = u64::try_from(FAILURES_KEPT).unwrap_or(u64::MAX);
        for _ in kept..self.failures.len()? {
            self.failures.pop_first()?;
        }
        Ok(())
    }

    pub(super) fn failures(&self, most: usize) -> Result<Vec<Failure>, Fault> {
        newest_failures(&self.failures, most)
    }
}

fn newest_failures(
    failures: &impl ReadableTable<u64, &'static [u8]>,
    most: usize,
) -> Result<Vec<Failure>, Fault> {
    let newest_first = failures.iter()?.rev().take(most);
    newest_first.map(|line| Ok(read_json(line?.1.value())?)).collect()
}

/// Failure log and queue as they were when the transaction began.
pub(super) fn contents(transaction: &ReadTransaction) -> Result<Contents, Fault> {
    let failures = newest_failures(&transaction.open_table(FAILURES)?, usize::MAX)?;
    let (due, queue) = (transaction.open_table(DUE)?, transaction.open_table(QUEUE)?);
    Ok(Contents { failures, entries: Some(entries_by_due(&due, &queue, usize::MAX)?) })
}

/// Whether there is a table that this release does not know.
pub(super) fn are_of_a_later_release(transaction: &WriteTransaction) -> Result<bool, Fault> {
    let queue = [QUEUE.name(), DUE.name(), QUEUED.name()];
    let known = [&queue[..], &[SESSIONS.name(), CUT_OFFS.name(), FAILURES.name()]].concat();
    let mut tables = transaction.list_tables()?;
    let unknown = tables.any(|table| !known.contains(&table.name()));
    Ok(unknown || transaction.list_multimap_tables()?.next().is_some())
}
