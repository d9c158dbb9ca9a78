//! Opens the file and verifies it; explains an error to the operator.

use std::{
    fs::{File, OpenOptions},
    io::{self, ErrorKind},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use redb::{
    Builder, ConcurrencyMode, Database, DatabaseError, ReadOnlyDatabase, StorageError, TableError,
    backends::FileBackend,
};

use super::{
    super::{OpenStoreError, list::RevocationList},
    error::FileError,
    queue::QueueSummary,
    records::RecordError,
    tables::{SESSIONS_OF_USER, Tables, has_unknown_tables},
};

/// The library's page cache. It can be small: the list is in memory anyway, and the rest has few bytes.
const CACHE_BYTES: usize = 8 << 20;
/// The queue's credentials are encrypted, but user ids are not: other users of the machine must not read the
/// file.
const OWNER_ALONE: u32 = 0o600;

/// How long to wait for another process to release the file: a supervisor may have stopped it a moment ago.
const HANDOVER: Duration = Duration::from_secs(1);

/// An opened file and its content.
pub(super) struct Opened {
    pub(super) database: Database,
    pub(super) list: RevocationList,
    pub(super) queue: QueueSummary,
}

/// Opens the file, or creates it, and loads the list. It verifies every checksum, so that damage is found at
/// the start and not at a later request.
pub(super) fn open(path: &Path) -> Result<Opened, OpenStoreError> {
    opened(path).map_err(|fault| OpenStoreError(explain(path, &fault)))
}

/// Opens the file again after an I/O error. It does not verify the checksums, which `open` has done.
pub(super) fn open_again(path: &Path) -> Result<Database, FileError> {
    Ok(builder().open(path)?)
}

/// Opens the file for reading, also while a gateway has it open.
pub(super) fn open_read_only(path: &Path) -> Result<ReadOnlyDatabase, DatabaseError> {
    builder().open_read_only(path)
}

/// The error for a file that made the library panic.
pub(super) fn damaged(path: &Path) -> OpenStoreError {
    OpenStoreError(format!("{} is damaged: {REMEDY}", path.display()))
}

const REMEDY: &str = "restore a copy, or move it away to begin with an empty one, which believes \
                      again in every logged-out session's unexpired tokens";

/// One process writes. The library makes a commit valid only after its data is on the disk, so an interrupted
/// commit never looks like damage.
fn builder() -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES).set_concurrency_mode(ConcurrencyMode::SingleWriter);
    builder
}

pub(super) fn opened(path: &Path) -> Result<Opened, FileError> {
    let database = open_when_released(path)?;
    let transaction = database.begin_write()?;
    if has_unknown_tables(&transaction)? {
        return Err(RecordError::LaterRelease.into());
    }
    transaction.delete_table(SESSIONS_OF_USER)?;
    let mut tables = Tables::open(&transaction)?;
    tables.upgrade_queue()?;
    tables.upgrade_failures()?;
    let (list, queue) = (tables.load()?, tables.summary()?);
    drop(tables);
    // Commit, because opening created the missing tables.
    transaction.commit()?;
    Ok(Opened { database, list, queue })
}

fn open_when_released(path: &Path) -> Result<Database, DatabaseError> {
    let begun = Instant::now();
    loop {
        let file = FileBackend::new(open_regular_file(path)?)?;
        match builder().set_check_integrity_on_open(true).create_with_backend(file) {
            Err(DatabaseError::DatabaseAlreadyOpen) if begun.elapsed() < HANDOVER => {
                thread::park_timeout(HANDOVER / 50);
            }
            opened => return opened,
        }
    }
}

fn open_regular_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    let file = match options.open(path) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => {
            let file = options.create_new(true).mode(OWNER_ALONE).open(path)?;
            // A new file survives a crash only after its directory was synced.
            let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?;
            file
        }
        opened => opened?,
    };
    let regular = file.metadata()?.is_file();
    if regular { Ok(file) } else { Err(io::Error::new(ErrorKind::InvalidInput, "not a file")) }
}

/// Explains to the operator why the file cannot be used, and what to do.
pub(super) fn explain(path: &Path, fault: &FileError) -> String {
    let path = path.display();
    match fault {
        FileError::Open(
            DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch,
        ) => {
            format!(
                "{path} is held by another process: a file serves one gateway, a Redis serves \
                 several"
            )
        }
        FileError::Open(DatabaseError::Storage(StorageError::Io(cause))) => {
            let remedy = match cause.kind() {
                ErrorKind::InvalidData | ErrorKind::UnexpectedEof => {
                    return format!("{path} is damaged, or no store of a gateway: {REMEDY}");
                }
                ErrorKind::NotFound => "check the path, whose directory must exist",
                ErrorKind::PermissionDenied => "let this user read and write it and its directory",
                ErrorKind::ReadOnlyFilesystem => "choose a file system that can be written",
                ErrorKind::IsADirectory | ErrorKind::InvalidInput => "name a file",
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                    "make room for it"
                }
                _ => return format!("{path} cannot be opened: {cause}"),
            };
            format!("{path} cannot be opened: {cause}: {remedy}")
        }
        FileError::Record(RecordError::LaterRelease)
        | FileError::Table(
            TableError::TableTypeMismatch { .. }
            | TableError::TypeDefinitionChanged { .. }
            | TableError::TableIsMultimap(_),
        ) => format!("{path} was written by a later release: run that one, or choose another file"),
        FileError::Record(RecordError::Damaged)
        | FileError::Open(DatabaseError::Storage(StorageError::Corrupted(_)))
        | FileError::Table(TableError::Storage(StorageError::Corrupted(_)))
        | FileError::Storage(StorageError::Corrupted(_)) => {
            format!("{path} is damaged: {REMEDY}")
        }
        cause => format!("{path} cannot be opened: {cause}"),
    }
}
