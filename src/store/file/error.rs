//! The errors of operations on the store's file.

use std::io;

use redb::{CommitError, DatabaseError, StorageError, TableError, TransactionError};

use super::records::RecordError;

/// An error of redb, or a record that this release cannot read.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
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
    Record(#[from] RecordError),
}

impl From<io::Error> for FileError {
    fn from(cause: io::Error) -> Self {
        Self::Open(StorageError::Io(cause).into())
    }
}
