//! The command `logout-gateway failures`, which prints the failure log, newest entry first.

use std::process::ExitCode;

use super::{store_args::StoreArgs, table};
use crate::store::{self, failure::FailedLogout};

const COLUMNS: [&str; 7] =
    ["time", "outcome", "reason", "upstream_status", "user_id", "session_id", "request_id"];

/// The arguments of `logout-gateway failures`.
#[derive(clap::Args)]
pub(super) struct FailuresArgs {
    #[command(flatten)]
    store: StoreArgs,
}

/// Prints the failure log of the store.
#[must_use]
pub(super) fn run(args: FailuresArgs) -> ExitCode {
    args.store.run(async |address| {
        let failures = store::read_only(&address).await?.failures;
        Ok(table::print(failures.into_iter().map(FailedLogout), &COLUMNS)?)
    })
}
