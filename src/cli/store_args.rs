//! The flag `--store` of the commands `queue` and `failures`, which open a store directly.

use std::{ffi::OsString, io, path::PathBuf, process::ExitCode};

use clap::Args;
use tokio::runtime;
use uuid::Uuid;

use super::USAGE_ERROR;
use crate::{
    config::{ConfigErrors, StoreAddress},
    store,
};

/// The store that the command opens.
#[derive(Args)]
pub(super) struct StoreArgs {
    /// The gateway's store: `file:<path>`, `redis://…` or `rediss://…`. `list` and `failures` can read a file
    /// while a gateway uses it; to retry or drop queued logouts in a file, stop the gateway first. Without the
    /// flag, the store is the value of `GATEWAY_STORE`, or the content of the file that `GATEWAY_STORE_FILE`
    /// names. The flag must not contain a password.
    #[arg(long, value_name = "STORE", allow_hyphen_values = true, global = true)]
    store: Option<OsString>,
}

/// The errors that end a command with exit status 1 or 2.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreCommandError {
    #[error(transparent)]
    Address(#[from] ConfigErrors),
    #[error(transparent)]
    Open(#[from] store::OpenStoreError),
    #[error(transparent)]
    Store(#[from] store::StoreError),
    #[error("GATEWAY_STORE: {0} has no queue")]
    NoQueue(&'static str),
    #[error("GATEWAY_STORE: there is no file {}", .0.display())]
    NoFile(PathBuf),
    #[error("{0}: the queue has no such entry; `queue list` shows the ids")]
    NoSuchEntry(Uuid),
    #[error(
        "{0} dropped logouts are not in the failure log: keep the lines above, which name them"
    )]
    NotLogged(usize),
    #[error("{0}")]
    Output(#[from] io::Error),
}

impl StoreArgs {
    /// Runs `command` with the store's address and prints its error to standard error. The exit status is 2
    /// if the address is invalid or the store has no queue, and 1 for any other error.
    pub(super) fn run(
        self,
        command: impl AsyncFnOnce(StoreAddress) -> Result<(), StoreCommandError>,
    ) -> ExitCode {
        let result = self.address().and_then(|address| {
            let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(command(address))
        });
        let Err(error) = result else { return ExitCode::SUCCESS };
        eprintln!("{error}");
        match error {
            StoreCommandError::Address(_) | StoreCommandError::NoQueue(_) => {
                ExitCode::from(USAGE_ERROR)
            }
            _ => ExitCode::FAILURE,
        }
    }

    fn address(self) -> Result<StoreAddress, StoreCommandError> {
        Ok(StoreAddress::of_flag(self.store)?)
    }
}
