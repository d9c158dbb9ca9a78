//! Diagnoses the store's file: whether a gateway can use it, and whether other users can read or write it.

use std::{
    fs::{self, Metadata, OpenOptions},
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process,
};

use redb::DatabaseError;

use super::{
    error::FileError,
    opening::{explain, opened},
    read_only,
};
use crate::store::Diagnosis;

/// The permission bits that let other users read or write the file.
const OTHERS: u32 = 0o066;

/// Diagnoses the file for `logout-gateway check`.
pub(super) fn diagnose(path: &Path) -> Result<Diagnosis, String> {
    let shown = path.display();
    let metadata = match fs::metadata(path) {
        // Do not create the file here: `check` may run as another user than `serve`, and that user would own
        // the file.
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            check_creatable(path).map_err(|cause| explain(path, &cause.into()))?;
            let found = format!("{shown}, which is not there yet");
            return Ok(Diagnosis { found, weaknesses: Vec::new() });
        }
        metadata => metadata.map_err(|cause| explain(path, &cause.into()))?,
    };
    let found = if is_held(path).map_err(|fault| explain(path, &fault))? {
        format!("{shown}, which a gateway uses")
    } else {
        shown.to_string()
    };
    Ok(Diagnosis { found, weaknesses: open_to_others(path, &metadata).into_iter().collect() })
}

/// Finds weak permissions of an existing file, one sentence each.
pub(super) fn weaknesses(path: &Path) -> Result<Vec<String>, String> {
    let metadata = fs::metadata(path).map_err(|cause| explain(path, &cause.into()))?;
    Ok(open_to_others(path, &metadata).into_iter().collect())
}

fn open_to_others(path: &Path, metadata: &Metadata) -> Option<String> {
    let (shown, mode) = (path.display(), metadata.permissions().mode() & 0o777);
    (mode & OTHERS != 0).then(|| {
        format!("others than its owner may read or write {shown} (mode {mode:o}): chmod 600")
    })
}

/// Whether a gateway has the file open. Also verifies that the file can be read: opens it for writing or,
/// while a gateway has it open, for reading only.
fn is_held(path: &Path) -> Result<bool, FileError> {
    match opened(path) {
        Ok(_) => Ok(false),
        Err(FileError::Open(DatabaseError::DatabaseAlreadyOpen)) => read_only(path).map(|_| true),
        Err(fault) => Err(fault),
    }
}

/// Verifies that the file could be created: creates a temporary file in its directory and removes it.
fn check_creatable(path: &Path) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".check-{}", process::id()));
    let probe: PathBuf = path.with_file_name(name);
    OpenOptions::new().write(true).create_new(true).open(&probe)?;
    fs::remove_file(probe)
}
