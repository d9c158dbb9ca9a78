//! Opens the store's file, verifies its checksums, and explains errors to the operator.

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
    tables::Tables,
    upgrade::upgrade,
};

/// The size of redb's page cache. It can be small, because tokens are checked against the list in memory and
/// the other tables are small.
const CACHE_BYTES: usize = 8 << 20;
/// The mode of a new file: only its owner may read and write it. The credentials in the queue are encrypted,
/// but the user ids are not.
const OWNER_ONLY_MODE: u32 = 0o600;

/// How long to wait for another process to close the file: a supervisor may have stopped that process a
/// moment ago.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(1);

/// The opened file, its revocation list, and a summary of its queue.
pub(super) struct Opened {
    pub(super) database: Database,
    pub(super) list: RevocationList,
    pub(super) queue: QueueSummary,
}

/// Opens or creates the file, and loads the revocation list. Verifies every checksum, so that the gateway
/// finds damage at the start and not during a request.
pub(super) fn open(path: &Path) -> Result<Opened, OpenStoreError> {
    opened(path).map_err(|fault| OpenStoreError(explain(path, &fault)))
}

/// Opens the file again after an I/O error, without verifying the checksums again.
pub(super) fn open_again(path: &Path) -> Result<Database, FileError> {
    Ok(builder().open(path)?)
}

/// Opens the file for reading only. A gateway may have the file open at the same time.
pub(super) fn open_read_only(path: &Path) -> Result<ReadOnlyDatabase, DatabaseError> {
    builder().open_read_only(path)
}

/// The error for a file whose content made redb panic.
pub(super) fn damaged(path: &Path) -> OpenStoreError {
    OpenStoreError(format!("{} is damaged: {REMEDY}", path.display()))
}

const REMEDY: &str = "restore a backup, or move the file away to start with an empty one: verify then \
                      accepts the unexpired tokens of logged-out sessions again";

/// Configures redb for one writing process. redb marks a commit as valid only after its data is on the disk,
/// so an interrupted commit never looks like damage.
fn builder() -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES).set_concurrency_mode(ConcurrencyMode::SingleWriter);
    builder
}

pub(super) fn opened(path: &Path) -> Result<Opened, FileError> {
    let database = open_when_released(path)?;
    let transaction = database.begin_write()?;
    upgrade(&transaction)?;
    let tables = Tables::open(&transaction)?;
    let (list, queue) = (tables.load()?, tables.summary()?);
    drop(tables);
    // Commit the upgrade, and the tables of a new file, which `Tables::open` created.
    transaction.commit()?;
    Ok(Opened { database, list, queue })
}

fn open_when_released(path: &Path) -> Result<Database, DatabaseError> {
    let begun = Instant::now();
    loop {
        let file = FileBackend::new(open_regular_file(path)?)?;
        match builder().set_check_integrity_on_open(true).create_with_backend(file) {
            Err(DatabaseError::DatabaseAlreadyOpen) if begun.elapsed() < RELEASE_TIMEOUT => {
                thread::park_timeout(RELEASE_TIMEOUT / 50);
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
            let file = options.create_new(true).mode(OWNER_ONLY_MODE).open(path)?;
            // A new file survives a crash only if its directory was synced after the file was created.
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
                "{path} is held by another process: only one gateway can use a file, and several \
                 can share a Redis"
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
        ) => format!(
            "{path} was written by a later release: run that release, or choose another file"
        ),
        FileError::Record(RecordError::Damaged)
        | FileError::Open(DatabaseError::Storage(StorageError::Corrupted(_)))
        | FileError::Table(TableError::Storage(StorageError::Corrupted(_)))
        | FileError::Storage(StorageError::Corrupted(_)) => {
            format!("{path} is damaged: {REMEDY}")
        }
        cause => format!("{path} cannot be opened: {cause}"),
    }
}
