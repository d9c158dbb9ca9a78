//! The command `logout-gateway queue`, which lists, retries or drops the queued logouts in a store.

use std::{
    io::{self, Write as _},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use clap::{ArgGroup, Subcommand};
use uuid::Uuid;

use super::{
    store_args::{StoreArgs, StoreCommandError},
    table,
};
use crate::{
    clock::Clock,
    config::StoreAddress,
    outcome::RecordedOutcome,
    store::{
        self, Queue, Store,
        entry::{QueueEntry, queued_logout::QueuedLogout},
        failure::Failure,
    },
};

const COLUMNS: [&str; 7] = ["id", "queued_at", "due_at", "attempts", "scope", "user_id", "reason"];

/// The arguments of `logout-gateway queue`.
#[derive(clap::Args)]
pub(super) struct QueueArgs {
    #[command(flatten)]
    store: StoreArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List the queued logouts, in the order of their next retries.
    List,
    /// Make queued logouts due, so that a gateway retries them at once.
    Retry(Selection),
    /// Remove queued logouts from the queue; the failure log records each as dropped.
    Drop(Selection),
}

#[derive(clap::Args)]
#[command(group = ArgGroup::new("selection").required(true))]
struct Selection {
    /// Ids of queued logouts, as `list` shows them.
    #[arg(group = "selection", value_name = "ID")]
    ids: Vec<Uuid>,
    /// All queued logouts.
    #[arg(long, group = "selection")]
    all: bool,
}

/// Runs the selected action. The exit status is 2 if the address of the store is invalid or the store has no
/// queue, and 1 for any other error.
#[must_use]
pub(super) fn run(args: QueueArgs) -> ExitCode {
    let QueueArgs { store, action } = args;
    store.run(async |address| match action {
        Action::List => {
            let entries = store::read_only(&address).await?.entries;
            let entries = entries.ok_or(StoreCommandError::NoQueue("memory"))?;
            Ok(table::print(entries.into_iter().map(QueuedLogout), &COLUMNS)?)
        }
        Action::Retry(selection) => {
            retry(queue_of(&*open_existing(&address).await?)?, &selection).await
        }
        Action::Drop(selection) => {
            let store = open_existing(&address).await?;
            drop_entries(&*store, queue_of(&*store)?, &selection).await
        }
    })
}

/// Opens the store. Returns an error if it is a file that does not exist, because opening would create the
/// file.
async fn open_existing(address: &StoreAddress) -> Result<Arc<dyn Store>, StoreCommandError> {
    match address {
        StoreAddress::File(path) if matches!(path.try_exists(), Ok(false)) => {
            Err(StoreCommandError::NoFile(path.clone()))
        }
        _ => Ok(store::open(address).await?),
    }
}

fn queue_of(store: &dyn Store) -> Result<&dyn Queue, StoreCommandError> {
    store.queue().ok_or(StoreCommandError::NoQueue("memory"))
}

/// Returns the entries of the queue that the command line selects.
async fn selected(
    queue: &dyn Queue,
    selection: &Selection,
) -> Result<Vec<QueueEntry>, StoreCommandError> {
    let entries = queue.entries(usize::MAX).await?;
    if selection.all {
        return Ok(entries);
    }
    let find = |id: &Uuid| {
        let entry = entries.iter().find(|entry| entry.id == *id).cloned();
        entry.ok_or(StoreCommandError::NoSuchEntry(*id))
    };
    selection.ids.iter().map(find).collect()
}

/// Makes the selected entries due. A worker may be trying one of them at the same time: a second logout of
/// the same session does no harm.
async fn retry(queue: &dyn Queue, selection: &Selection) -> Result<(), StoreCommandError> {
    let now = Clock::system().now();
    for entry in selected(queue, selection).await? {
        let id = entry.id;
        let moved = queue.reschedule(&entry, Duration::ZERO, false, now).await?;
        let result = if moved { "due now" } else { "gone already, or being tried by a worker" };
        writeln!(io::stdout(), "{id}: {result}")?;
    }
    Ok(())
}

/// Drops the selected entries. Each entry is removed before it is written to the failure log, for two
/// reasons: an entry that the worker finishes at the same time must not be recorded as dropped, and a full
/// Redis accepts the failure log's entry only after the removal has made room. Each removed entry is printed,
/// even if it could not be written to the failure log.
async fn drop_entries(
    store: &dyn Store,
    queue: &dyn Queue,
    selection: &Selection,
) -> Result<(), StoreCommandError> {
    let now = Clock::system().now_in_seconds();
    let mut not_logged = 0;
    for entry in selected(queue, selection).await? {
        let id = entry.id;
        if !queue.remove(id).await? {
            writeln!(io::stdout(), "{id}: gone already")?;
            continue;
        }
        let dropped =
            Failure::of_entry(&entry, now, RecordedOutcome::Dropped, entry.reason.clone(), None);
        match store.append_failures(&[dropped]).await {
            Ok(()) => writeln!(io::stdout(), "{id}: dropped")?,
            Err(cause) => {
                not_logged += 1;
                let QueueEntry { session_id, user_id, .. } = entry;
                eprintln!(
                    "{id}: dropped, but not in the failure log: session {session_id} of user \
                     {user_id}: {cause}"
                );
            }
        }
    }
    if not_logged == 0 { Ok(()) } else { Err(StoreCommandError::NotLogged(not_logged)) }
}
