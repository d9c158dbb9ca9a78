//! The tables of the store's file. A queued logout is in all tables of the queue or in none. Times in keys
//! are in milliseconds since the Unix epoch.

use jiff::Timestamp;
use redb::{ReadableTable, Table, TableDefinition, TableHandle, WriteTransaction};
use uuid::Uuid;

use super::{
    super::{
        failure::Failure,
        list::{CutOff, RevocationEntry, RevocationList, UserCutOffs},
    },
    error::FileError,
    records::{decode_json, decode_times, encode_times},
};

/// Ended sessions. Key: session. Value: the entry's `until`.
const SESSIONS: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("sessions");
/// Cut-offs. Key: user and spared session, zero for none. Value: `before` and `until` of the cut-off.
const CUT_OFFS: TableDefinition<'_, (u128, u128), &[u8]> = TableDefinition::new("cut_offs");
/// Records of queued logouts, by entry id.
pub(super) const QUEUE: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("queue");
/// States of queued logouts, by entry id. Each try changes the state.
pub(super) const STATES: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("queue_states");
/// Queued logouts in the order of their due times. Key: due time and entry id.
pub(super) const DUE: TableDefinition<'_, (i64, u128), ()> = TableDefinition::new("due");
/// Queued logouts in the order of queueing. Key: time of queueing and entry id.
const QUEUED: TableDefinition<'_, (i64, u128), ()> = TableDefinition::new("queued");
/// Queued logouts in the order of their last failures. Key: time of the last failure, 0 for none, and entry
/// id.
const FAILED: TableDefinition<'_, (i64, u128), ()> = TableDefinition::new("queue_failed");
/// Queued logouts by user. Key: user and entry id. Value: the session, the size of the record in bytes, and
/// whether the entry is stale.
const ENTRIES_OF_USER: TableDefinition<'_, (u128, u128), (u128, u64, bool)> =
    TableDefinition::new("queue_of_user");
/// A table of an earlier release; opening the file deletes it.
pub(super) const SESSIONS_OF_USER: TableDefinition<'_, (u128, u128), u64> =
    TableDefinition::new("queue_sessions");
/// Totals of the queue, by the numbers of `usage::Total`.
const TOTALS: TableDefinition<'_, u8, u64> = TableDefinition::new("queue_totals");
/// The failure log, by consecutive number.
pub(super) const FAILURES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("failures");
/// An index of the failure log. Key: user and number of the failure.
const FAILURES_OF_USER: TableDefinition<'_, (u128, u64), ()> =
    TableDefinition::new("failures_of_user");

/// All tables, opened in one transaction.
pub(super) struct Tables<'t> {
    sessions: Table<'t, u128, &'static [u8]>,
    cut_offs: Table<'t, (u128, u128), &'static [u8]>,
    pub(super) queue: Table<'t, u128, &'static [u8]>,
    pub(super) states: Table<'t, u128, &'static [u8]>,
    pub(super) due: Table<'t, (i64, u128), ()>,
    pub(super) queued: Table<'t, (i64, u128), ()>,
    pub(super) failed: Table<'t, (i64, u128), ()>,
    pub(super) entries_of_user: Table<'t, (u128, u128), (u128, u64, bool)>,
    pub(super) totals: Table<'t, u8, u64>,
    pub(super) failures: Table<'t, u64, &'static [u8]>,
    pub(super) failures_of_user: Table<'t, (u128, u64), ()>,
    /// Whether the transaction has changed anything and needs a commit.
    pub(super) changed: bool,
}

impl<'t> Tables<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, FileError> {
        Ok(Self {
            sessions: transaction.open_table(SESSIONS)?,
            cut_offs: transaction.open_table(CUT_OFFS)?,
            queue: transaction.open_table(QUEUE)?,
            states: transaction.open_table(STATES)?,
            due: transaction.open_table(DUE)?,
            queued: transaction.open_table(QUEUED)?,
            failed: transaction.open_table(FAILED)?,
            entries_of_user: transaction.open_table(ENTRIES_OF_USER)?,
            totals: transaction.open_table(TOTALS)?,
            failures: transaction.open_table(FAILURES)?,
            failures_of_user: transaction.open_table(FAILURES_OF_USER)?,
            changed: false,
        })
    }

    /// Loads the revocation list, and decodes every other record once, so that a record that this release
    /// cannot read stops the start and not a later operation.
    pub(super) fn load(&self) -> Result<RevocationList, FileError> {
        let list = RevocationList::default();
        for line in self.sessions.iter()? {
            let (session, value) = line?;
            let [until] = decode_times(value.value())?;
            list.insert(RevocationEntry::Session {
                session: Uuid::from_u128(session.value()),
                until,
            });
        }
        for line in self.cut_offs.iter()? {
            let (key, value) = line?;
            let (user, spared) = key.value();
            let [before, until] = decode_times(value.value())?;
            let spared = spared_session(spared);
            list.insert(RevocationEntry::CutOff {
                user: Uuid::from_u128(user),
                spared,
                before,
                until,
            });
        }
        for line in self.due.iter()? {
            self.entry(line?.0.value().1)?;
        }
        for line in self.failures.iter()? {
            decode_json::<Failure>(line?.1.value())?;
        }
        Ok(list)
    }

    /// Adds entries to the revocation list. If there are two for the same session, the later `until` is kept.
    /// The cut-offs of a user are folded into two at most.
    pub(super) fn insert_revocations(
        &mut self,
        entries: &[RevocationEntry],
    ) -> Result<(), FileError> {
        for entry in entries {
            match *entry {
                RevocationEntry::Session { session, until } => {
                    let key = session.as_u128();
                    let [known] = self.session(key)?.unwrap_or([Timestamp::MIN]);
                    self.sessions.insert(key, &*encode_times([until.max(known)]))?;
                }
                RevocationEntry::CutOff { user, spared, before, until } => {
                    self.fold_cut_off(user, spared, CutOff { before, until })?;
                }
            }
            self.changed = true;
        }
        Ok(())
    }

    fn fold_cut_off(
        &mut self,
        user: Uuid,
        spared: Option<Uuid>,
        added: CutOff,
    ) -> Result<(), FileError> {
        let all = (user.as_u128(), 0)..=(user.as_u128(), u128::MAX);
        let mut folded = UserCutOffs::default();
        for line in self.cut_offs.range(all.clone())? {
            let (key, value) = line?;
            let [before, until] = decode_times(value.value())?;
            folded.fold(spared_session(key.value().1), CutOff { before, until });
        }
        folded.fold(spared, added);
        self.cut_offs.retain_in(all, |_, _| false)?;
        for entry in folded.entries(user) {
            if let RevocationEntry::CutOff { spared, before, until, .. } = entry {
                let key = (user.as_u128(), spared.map_or(0, |session| session.as_u128()));
                self.cut_offs.insert(key, &*encode_times([before, until]))?;
            }
        }
        Ok(())
    }

    fn session(&self, key: u128) -> Result<Option<[Timestamp; 1]>, FileError> {
        let value = self.sessions.get(key)?;
        Ok(value.map(|value| decode_times(value.value())).transpose()?)
    }

    /// Removes those of `entries` that have expired at `now`: no unexpired token can match them.
    pub(super) fn remove_expired(
        &mut self,
        entries: &[RevocationEntry],
        now: Timestamp,
    ) -> Result<(), FileError> {
        for entry in entries {
            // Check the stored time: a logout may have extended the entry since the caller read it.
            match *entry {
                RevocationEntry::Session { session, .. } => {
                    let key = session.as_u128();
                    if self.session(key)?.is_some_and(|[until]| until <= now) {
                        self.sessions.remove(key)?;
                        self.changed = true;
                    }
                }
                RevocationEntry::CutOff { user, .. } => {
                    let all = (user.as_u128(), 0)..=(user.as_u128(), u128::MAX);
                    self.cut_offs.retain_in(all, |_, value| {
                        decode_times(value).map_or(true, |[_, until]: [Timestamp; 2]| until > now)
                    })?;
                    self.changed = true;
                }
            }
        }
        Ok(())
    }
}

/// Decodes the id of a spared session; zero stands for none.
fn spared_session(id: u128) -> Option<Uuid> {
    (id != 0).then(|| Uuid::from_u128(id))
}

/// Whether the file has a table that this release does not know.
pub(super) fn has_unknown_tables(transaction: &WriteTransaction) -> Result<bool, FileError> {
    let known = [
        SESSIONS.name(),
        CUT_OFFS.name(),
        QUEUE.name(),
        STATES.name(),
        DUE.name(),
        QUEUED.name(),
        FAILED.name(),
        ENTRIES_OF_USER.name(),
        SESSIONS_OF_USER.name(),
        TOTALS.name(),
        FAILURES.name(),
        FAILURES_OF_USER.name(),
    ];
    let mut tables = transaction.list_tables()?;
    let unknown = tables.any(|table| !known.contains(&table.name()));
    Ok(unknown || transaction.list_multimap_tables()?.next().is_some())
}
