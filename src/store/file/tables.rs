//! The tables of the store's file. A queued logout is in all tables of the queue or in none.
//!
//! redb compiles its code anew for each pair of key and value types, tens of kilobytes a time. So all tables
//! have one of two pairs: [`SingleKeyTable`] or [`PairKeyTable`]. Sets have empty values.

use jiff::Timestamp;
use redb::{ReadableTable, Table, TableDefinition, WriteTransaction};
use uuid::Uuid;

use super::{
    super::{
        failure::Failure,
        list::{CutOff, RevocationEntry, RevocationList, UserCutOffs},
    },
    error::FileError,
    records::{
        RecordError, ShareOfEntry, decode_json, decode_time_key, decode_times, encode_times,
    },
};

pub(super) type SingleKeyTable<'t> = Table<'t, u128, &'static [u8]>;
pub(super) type PairKeyTable<'t> = Table<'t, (u128, u128), &'static [u8]>;
type SingleKey = TableDefinition<'static, u128, &'static [u8]>;
type PairKey = TableDefinition<'static, (u128, u128), &'static [u8]>;

/// The value of each key in a table that is a set of keys.
pub(super) const NO_VALUE: &[u8] = &[];

/// Ended sessions. Key: session. Value: the entry's `until`.
pub(super) const SESSIONS: SingleKey = TableDefinition::new("sessions");
/// Cut-offs. Key: user and spared session, zero for none. Value: `before` and `until` of the cut-off.
pub(super) const CUT_OFFS: PairKey = TableDefinition::new("cut_offs");
/// Records of queued logouts, by entry id.
pub(super) const QUEUE: SingleKey = TableDefinition::new("queue");
/// States of queued logouts, by entry id. Each try changes the state.
pub(super) const STATES: SingleKey = TableDefinition::new("queue_states");
/// Queued logouts in the order of their due times. Key: `records::time_key` of the due time and the entry id.
pub(super) const DUE: PairKey = TableDefinition::new("queue_by_due_time");
/// Queued logouts in the order of queueing. Key: `records::time_key` of the time of queueing and the entry id.
pub(super) const QUEUED: PairKey = TableDefinition::new("queue_by_age");
/// Queued logouts in the order of their last failures. Key: `records::time_key` of the time of the last
/// failure, 1970 for none, and the entry id.
pub(super) const FAILED: PairKey = TableDefinition::new("queue_by_failure");
/// Queued logouts by user. Key: user and entry id. Value: a [`ShareOfEntry`].
pub(super) const ENTRIES_OF_USER: PairKey = TableDefinition::new("queue_by_user");
/// Totals of the queue, by the numbers of `usage::Total`. Value: a number.
pub(super) const TOTALS: SingleKey = TableDefinition::new("queue_sums");
/// The failure log, by consecutive number.
pub(super) const FAILURES: SingleKey = TableDefinition::new("failure_log");
/// An index of the failure log. Key: user and number of the failure.
pub(super) const FAILURES_OF_USER: PairKey = TableDefinition::new("failure_log_by_user");

/// The key of a cut-off in the file, and the cut-off, or the error if it cannot be read.
type StoredCutOff = ((u128, u128), Result<CutOff, RecordError>);

/// All tables, opened in one transaction.
pub(super) struct Tables<'t> {
    sessions: SingleKeyTable<'t>,
    cut_offs: PairKeyTable<'t>,
    pub(super) queue: SingleKeyTable<'t>,
    pub(super) states: SingleKeyTable<'t>,
    pub(super) due: PairKeyTable<'t>,
    pub(super) queued: PairKeyTable<'t>,
    pub(super) failed: PairKeyTable<'t>,
    pub(super) entries_of_user: PairKeyTable<'t>,
    pub(super) totals: SingleKeyTable<'t>,
    pub(super) failures: SingleKeyTable<'t>,
    pub(super) failures_of_user: PairKeyTable<'t>,
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
            self.entry(decode_time_key(line?.0.value()).1)?;
        }
        for line in self.entries_of_user.iter()? {
            ShareOfEntry::decode(line?.1.value())?;
        }
        self.usage()?;
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
        let mut folded = UserCutOffs::default();
        for (key, cut_off) in self.cut_offs_of(user)? {
            folded.fold(spared_session(key.1), cut_off?);
            self.cut_offs.remove(key)?;
        }
        folded.fold(spared, added);
        for entry in folded.entries(user) {
            if let RevocationEntry::CutOff { spared, before, until, .. } = entry {
                let key = (user.as_u128(), spared.map_or(0, |session| session.as_u128()));
                self.cut_offs.insert(key, &*encode_times([before, until]))?;
            }
        }
        Ok(())
    }

    fn cut_offs_of(&self, user: Uuid) -> Result<Vec<StoredCutOff>, FileError> {
        let all = (user.as_u128(), 0)..=(user.as_u128(), u128::MAX);
        let lines = self.cut_offs.range(all)?.map(|line| {
            let (key, value) = line?;
            let times = decode_times(value.value());
            Ok((key.value(), times.map(|[before, until]| CutOff { before, until })))
        });
        lines.collect()
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
                    for (key, cut_off) in self.cut_offs_of(user)? {
                        if cut_off.is_ok_and(|cut_off| cut_off.until <= now) {
                            self.cut_offs.remove(key)?;
                        }
                    }
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
