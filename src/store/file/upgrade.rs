//! Upgrades a file of an earlier release when it is opened, in one transaction, and refuses a file of a later
//! release.
//!
//! Earlier releases wrote tables with other pairs of key and value types. Their indexes are made anew from the
//! records, so that only the failure log is read with its former types.

use redb::{ReadableTable as _, TableDefinition, TableHandle as _, WriteTransaction};

use super::{
    error::FileError,
    records::RecordError,
    tables::{
        CUT_OFFS, DUE, ENTRIES_OF_USER, FAILED, FAILURES, FAILURES_OF_USER, QUEUE, QUEUED,
        SESSIONS, STATES, TOTALS, Tables,
    },
};

/// The failure log of earlier releases, by consecutive number.
pub(super) const FORMER_FAILURES: TableDefinition<'_, u64, &[u8]> =
    TableDefinition::new("failures");
/// The tables of earlier releases that this release does not have.
const FORMER_TABLES: [&str; 8] = [
    "due",
    "queued",
    "queue_failed",
    "queue_of_user",
    "queue_sessions",
    "queue_totals",
    "failures",
    "failures_of_user",
];

/// Upgrades the file. The file then has all tables of this release, and no others.
pub(super) fn upgrade(transaction: &WriteTransaction) -> Result<(), FileError> {
    let found = table_names(transaction)?;
    let is_former = |name: &String| FORMER_TABLES.contains(&name.as_str());
    let is_new = |name: &String| name == FAILURES.name() || indexes().contains(&name.as_str());
    if found.iter().any(is_former) {
        // No earlier release has both kinds of tables: do not delete a table of a later release.
        if found.iter().any(is_new) {
            return Err(RecordError::LaterRelease.into());
        }
        if found.iter().any(|name| name == FORMER_FAILURES.name()) {
            copy_failures(transaction)?;
        }
        delete_tables(transaction, &FORMER_TABLES)?;
    }
    upgrade_entries(transaction)?;
    upgrade_indexes(transaction)
}

/// Returns the names of the file's tables, and an error if this release does not know one of them.
fn table_names(transaction: &WriteTransaction) -> Result<Vec<String>, FileError> {
    let known = [SESSIONS.name(), QUEUE.name(), STATES.name(), CUT_OFFS.name(), FAILURES.name()];
    let known = [&known[..], &indexes(), &FORMER_TABLES].concat();
    let found: Vec<String> =
        transaction.list_tables()?.map(|table| table.name().to_owned()).collect();
    let is_unknown = |name: &String| !known.contains(&name.as_str());
    if found.iter().any(is_unknown) || transaction.list_multimap_tables()?.next().is_some() {
        return Err(RecordError::LaterRelease.into());
    }
    Ok(found)
}

/// The names of the tables that are made from the records, the states and the failure log. Earlier releases have
/// other tables for these.
fn indexes() -> [&'static str; 6] {
    [
        DUE.name(),
        QUEUED.name(),
        FAILED.name(),
        ENTRIES_OF_USER.name(),
        TOTALS.name(),
        FAILURES_OF_USER.name(),
    ]
}

/// Deletes tables by name, whatever their types are.
fn delete_tables(transaction: &WriteTransaction, names: &[&str]) -> Result<(), FileError> {
    for table in transaction.list_tables()? {
        if names.contains(&table.name()) {
            transaction.delete_table(table)?;
        }
    }
    Ok(())
}

fn copy_failures(transaction: &WriteTransaction) -> Result<(), FileError> {
    let former = transaction.open_table(FORMER_FAILURES)?;
    let mut failures = transaction.open_table(FAILURES)?;
    for line in former.iter()? {
        let (number, failure) = line?;
        failures.insert(u128::from(number.value()), failure.value())?;
    }
    Ok(())
}

/// Rewrites a queue of the first release, which has one entry for each request.
fn upgrade_entries(transaction: &WriteTransaction) -> Result<(), FileError> {
    let tables = Tables::open(transaction)?;
    if !tables.has_first_releases_queue()? {
        return Ok(());
    }
    let entries = tables.first_releases_entries()?;
    drop(tables);
    delete_tables(transaction, &[QUEUE.name(), STATES.name()])?;
    delete_tables(transaction, &indexes())?;
    Tables::open(transaction)?.merge_entries(entries)
}

/// Makes all indexes anew if one of them lacks a record.
fn upgrade_indexes(transaction: &WriteTransaction) -> Result<(), FileError> {
    let tables = Tables::open(transaction)?;
    if tables.queue_is_indexed()? && tables.failures_are_indexed()? {
        return Ok(());
    }
    drop(tables);
    delete_tables(transaction, &indexes())?;
    let mut tables = Tables::open(transaction)?;
    tables.index_queue()?;
    tables.index_failures()
}
