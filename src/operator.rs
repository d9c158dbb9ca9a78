//! `logout-gateway queue` and `logout-gateway failures`: what waits and what went wrong, for whoever
//! runs the gateway. A table on a terminal, a JSON line each when piped.

use std::{
    ffi::OsString,
    io::{self, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use clap::{ArgGroup, Args, Subcommand};
use serde::Serialize;
use serde_json::Value;
use tokio::runtime;
use uuid::Uuid;

use crate::{
    clock::Clock,
    config::StoreAddress,
    queue::{enqueue::milliseconds, entry::QueueEntry},
    report::{FailedLogout, QueuedLogout},
    store::{self, Queue, Store, failure::Failure},
};

/// Bad arguments, as `clap` itself answers them.
const BAD_ARGUMENTS: u8 = 2;

/// Which store.
#[derive(Args)]
pub struct StoreArgs {
    /// The store, as `serve` has it: `file:<path>`, `redis://…` or `rediss://…`. A file can be looked
    /// into while a gateway runs on it; to retry or drop, stop the gateway.
    #[arg(
        long,
        env = "GATEWAY_STORE",
        value_name = "STORE",
        hide_env_values = true,
        allow_hyphen_values = true,
        global = true
    )]
    store: Option<OsString>,
}

/// `logout-gateway queue`
#[derive(Args)]
pub struct QueueArgs {
    #[command(flatten)]
    store: StoreArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// The postponed logouts, by the time of their next try.
    List,
    /// Ask GoTrue again at once.
    Retry(Which),
    /// Give up: the failure log keeps that they were dropped.
    Drop(Which),
}

#[derive(Args)]
#[command(group = ArgGroup::new("which").required(true))]
struct Which {
    /// Ids, as `list` tells them.
    #[arg(group = "which", value_name = "ID")]
    ids: Vec<Uuid>,
    /// All of them.
    #[arg(long, group = "which")]
    all: bool,
}

/// `logout-gateway failures`
#[derive(Args)]
pub struct FailuresArgs {
    #[command(flatten)]
    store: StoreArgs,
}

/// Why a command ends with status 1 or 2.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("GATEWAY_STORE: {0}")]
    Address(String),
    #[error(transparent)]
    Open(#[from] store::CannotOpen),
    #[error(transparent)]
    Store(#[from] store::StoreError),
    #[error("GATEWAY_STORE: {0} has no queue")]
    NoQueue(&'static str),
    #[error("GATEWAY_STORE: there is no file {}", .0.display())]
    NoFile(PathBuf),
    #[error("{0}: no such entry")]
    NoSuchEntry(Uuid),
    #[error(
        "{0} dropped logouts are not in the failure log: keep the lines above, which name them"
    )]
    NotNoted(usize),
    #[error("{0}")]
    Output(#[from] io::Error),
}

/// Lists, retries or drops.
#[must_use]
pub fn queue(args: QueueArgs) -> ExitCode {
    let QueueArgs { store, action } = args;
    run(store, async |address| match action {
        Action::List => {
            let entries = store::look_into(&address).await?.entries;
            let entries = entries.ok_or(Trouble::NoQueue("memory"))?;
            print(entries.iter().map(QueuedLogout::from), &QUEUE_COLUMNS)
        }
        Action::Retry(which) => retry(queue_of(&*existing(&address).await?)?, &which).await,
        Action::Drop(which) => {
            let store = existing(&address).await?;
            drop_entries(&*store, queue_of(&*store)?, &which).await
        }
    })
}

/// A store that is there: opening a file that is not would create it.
async fn existing(address: &StoreAddress) -> Result<Arc<dyn Store>, Trouble> {
    match address {
        StoreAddress::File(path) if matches!(path.try_exists(), Ok(false)) => {
            Err(Trouble::NoFile(path.clone()))
        }
        _ => Ok(store::open(address).await?),
    }
}

fn queue_of(store: &dyn Store) -> Result<&dyn Queue, Trouble> {
    store.queue().ok_or(Trouble::NoQueue("memory"))
}

/// Prints the failure log, newest first.
#[must_use]
pub fn failures(args: FailuresArgs) -> ExitCode {
    run(args.store, async |address| {
        let failures = store::look_into(&address).await?.failures;
        print(failures.into_iter().map(FailedLogout::from), &FAILURE_COLUMNS)
    })
}

fn run(args: StoreArgs, work: impl AsyncFnOnce(StoreAddress) -> Result<(), Trouble>) -> ExitCode {
    let done = address(args).and_then(|address| {
        runtime::Builder::new_current_thread().enable_all().build()?.block_on(work(address))
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            eprintln!("{trouble}");
            match trouble {
                Trouble::Address(_) | Trouble::NoQueue(_) => ExitCode::from(BAD_ARGUMENTS),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

fn address(args: StoreArgs) -> Result<StoreAddress, Trouble> {
    let raw = args.store.ok_or_else(|| Trouble::Address("is required".to_owned()))?;
    let text = raw.to_str().ok_or_else(|| Trouble::Address("must be valid UTF-8".to_owned()))?;
    StoreAddress::parse(text).map_err(|rule| Trouble::Address(rule.into_owned()))
}

async fn chosen(queue: &dyn Queue, which: &Which) -> Result<Vec<QueueEntry>, Trouble> {
    let entries = queue.entries(usize::MAX).await?;
    if which.all {
        return Ok(entries);
    }
    let of = |id: &Uuid| {
        entries.iter().find(|entry| entry.id == *id).cloned().ok_or(Trouble::NoSuchEntry(*id))
    };
    which.ids.iter().map(of).collect()
}

/// Whoever is asking GoTrue right now goes on: asking twice does no harm.
async fn retry(queue: &dyn Queue, which: &Which) -> Result<(), Trouble> {
    let now = milliseconds(Clock::system().now());
    for entry in chosen(queue, which).await? {
        let id = entry.id;
        let moved = queue.reschedule(&entry, Duration::ZERO, false, now).await?;
        let told = if moved { "due now" } else { "gone already, or somebody has just taken it" };
        writeln!(io::stdout(), "{id}: {told}")?;
    }
    Ok(())
}

/// Removes each entry before its line is written to the failure log, for two reasons: an entry that the worker
/// finishes meanwhile must not be logged as dropped, and in a full Redis, where the log takes no line, dropping
/// must still make room. Each removed entry is printed, whether its line was written or not.
async fn drop_entries(store: &dyn Store, queue: &dyn Queue, which: &Which) -> Result<(), Trouble> {
    let now = Clock::system().unix_seconds();
    let mut not_noted = 0;
    for entry in chosen(queue, which).await? {
        let id = entry.id;
        if !queue.remove(id).await? {
            writeln!(io::stdout(), "{id}: gone already")?;
            continue;
        }
        let dropped = Failure::of_entry(&entry, now, "dropped", &entry.reason, None);
        match store.note(&[dropped]).await {
            Ok(()) => writeln!(io::stdout(), "{id}: dropped")?,
            Err(cause) => {
                not_noted += 1;
                let QueueEntry { session_id, user_id, .. } = entry;
                eprintln!(
                    "{id}: dropped, but not in the failure log: session {session_id} of user \
                     {user_id}: {cause}"
                );
            }
        }
    }
    if not_noted == 0 { Ok(()) } else { Err(Trouble::NotNoted(not_noted)) }
}

const QUEUE_COLUMNS: [&str; 7] =
    ["id", "queued_at", "due_at", "attempts", "scope", "user_id", "reason"];
const FAILURE_COLUMNS: [&str; 7] =
    ["time", "outcome", "reason", "upstream_status", "user_id", "session_id", "request_id"];

/// A table of these columns for a person, every member for a program.
fn print<T: Serialize>(rows: impl Iterator<Item = T>, columns: &[&str]) -> Result<(), Trouble> {
    let mut out = io::stdout().lock();
    let rows: Vec<Value> = rows.filter_map(|row| serde_json::to_value(row).ok()).collect();
    if !out.is_terminal() {
        return rows.iter().try_for_each(|row| writeln!(out, "{row}")).map_err(Into::into);
    }
    let cell = |row: &Value, column: &str| match &row[column] {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    let head = columns.iter().map(|column| (*column).to_owned()).collect();
    let body = rows.iter().map(|row| columns.iter().map(|column| cell(row, column)).collect());
    let lines: Vec<Vec<String>> = std::iter::once(head).chain(body).collect();
    let width = |n: usize| lines.iter().filter_map(|line| line.get(n)).map(String::len).max();
    let widths: Vec<usize> = (0..columns.len()).filter_map(width).collect();
    for line in &lines {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}
