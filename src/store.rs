//! The store: the revocation list, the queue of logouts to retry, and the failure log.
//!
//! 1. Three stores implement [`Store`]: `memory` (loses everything at a restart, and so has no queue), `file`
//!    (durable, for one process) and `redis` (shared by all instances).
//! 2. A method that writes returns `Ok` only when the data is durable: the file store has written it to the
//!    disk; Redis keeps it as its own persistence settings say.
//! 3. A store that cannot tell whether a token is revoked returns an error, and the gateway does not accept
//!    the token.

pub mod bounds;
pub mod entry;
pub mod failure;
pub(crate) mod file;
pub(crate) mod instrumented;
pub mod list;
pub mod memory;
pub(crate) mod redis;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use self::{
    failure::Failure,
    file::FileStore,
    list::{Revocation, RevocationList},
    memory::MemoryStore,
    redis::RedisStore,
};
use crate::{
    config::StoreAddress,
    session::token::Claims,
    store::{
        bounds::{Bounds, QueueFullError},
        entry::QueueEntry,
    },
};

/// The failure log keeps at most this number of failures, and removes the oldest first.
pub const FAILURES_KEPT: usize = 10_000;
/// The failure log keeps at most this number of failures of one user, so that one account cannot displace the
/// failures of others.
pub const FAILURES_KEPT_OF_USER: usize = 100;

/// Stores revocations and failures, and queued logouts if its data survives a restart.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync {
    /// Records a logout on the revocation list. This instance refuses the access tokens of the logout from
    /// now on, even if the store returns an error.
    ///
    /// # Errors
    /// [`StoreError`] if a restart may lose the revocation, or if other instances may not receive it yet. The
    /// store retries the write by itself.
    async fn revoke(&self, revocation: &Revocation) -> Result<(), StoreError>;

    /// Whether the revocation list refuses a token at `now`.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot tell: another instance may have revoked the token.
    async fn is_revoked(&self, claims: &Claims, now: Timestamp) -> Result<bool, StoreError>;

    /// The revocation list in this process's memory. Revocations of other instances may be missing.
    fn list(&self) -> &RevocationList;

    /// Brings [`Store::list`] up to date for the session and the user of `claims`. Makes a network call only
    /// if the list may lack revocations of other instances.
    ///
    /// # Errors
    /// [`StoreError`] if the store does not answer; revocations of other instances may then be missing.
    async fn sync_list(&self, claims: &Claims) -> Result<(), StoreError>;

    /// Removes the revocations that no unexpired token can match at `now`.
    ///
    /// # Errors
    /// [`StoreError`]; expired revocations then remain until the next call.
    async fn purge_expired(&self, now: Timestamp) -> Result<(), StoreError>;

    /// Appends `failures` to the failure log, which keeps the newest [`FAILURES_KEPT`], and the newest
    /// [`FAILURES_KEPT_OF_USER`] of each user.
    ///
    /// # Errors
    /// [`StoreError`]; no failure was appended then.
    async fn append_failures(&self, failures: &[Failure]) -> Result<(), StoreError>;

    /// Returns at most `most` failures, the newest first.
    async fn failures(&self, most: usize) -> Result<Vec<Failure>, StoreError>;

    /// The queue of logouts to retry; `None` if the store loses its data at a restart.
    fn queue(&self) -> Option<&dyn Queue>;

    /// Whether the store has loaded the whole revocation list at least once and can answer now.
    fn is_ready(&self) -> bool;

    /// Whether the store is loading the revocation list for the first time, and no error has occurred so far.
    fn is_loading(&self) -> bool {
        false
    }

    /// Runs the store's background tasks. Returns only if the store has stopped working.
    async fn run(&self);
}

/// A queue of logouts to retry, with one entry for each session and scope. A worker leases an entry before it
/// retries the logout; only one worker can hold the lease.
///
/// `now` is the time by the gateway's clock. The file store uses it; Redis uses its own clock instead. So
/// [`QueueEntry::queued_at`], [`QueueEntry::due`] and [`QueueEntry::failed_at`] are by the store's clock.
/// Leasing, rescheduling and removing entries work in a store that is full, so that the queue can drain.
#[cfg_attr(
    feature = "internals",
    expect(
        clippy::len_without_is_empty,
        reason = "a call may be a network round trip: callers use `len` instead of a second method"
    )
)]
#[async_trait]
pub trait Queue: Send + Sync {
    /// Adds an entry that is due after `pause`, if `bounds` allow it. If the queue already has an entry with
    /// the same id, merges the new credentials into that entry (`QueueEntry::merged_with`) and keeps its due
    /// time.
    ///
    /// # Errors
    /// [`StoreError`] if a restart may lose the entry; [`QueueFullError`] if a bound is reached.
    async fn enqueue(
        &self,
        entry: &QueueEntry,
        pause: Duration,
        bounds: &Bounds,
        now: Timestamp,
    ) -> Result<Result<(), QueueFullError>, StoreError>;

    /// Returns the entry with this id.
    async fn get(&self, id: Uuid) -> Result<Option<QueueEntry>, StoreError>;

    /// Leases at most `most` due entries for the duration `lease`; entries that failed most recently come
    /// last. The due time of a leased entry is the end of its lease: from then on another worker may lease
    /// the entry, because the first worker may have died. An entry that is due more than
    /// `entry::MAX_RETRY_AFTER` from now counts as due, because only a wrong clock sets such a time.
    /// Entries that this release cannot read do not block others.
    async fn lease(
        &self,
        lease: Duration,
        most: usize,
        now: Timestamp,
    ) -> Result<Vec<QueueEntry>, StoreError>;

    /// Makes a leased entry due after `pause`, and stores its new [`QueueEntry::attempts`],
    /// [`QueueEntry::reason`] and [`QueueEntry::tried`]. `failed` says that the logout was tried and failed.
    /// The stored credentials do not change. If a request has added credentials since the worker read the
    /// entry, the entry is due at once, because these credentials were not tried yet.
    ///
    /// Returns `false`, and changes nothing, if the entry was removed, or if the lease, which ends at
    /// [`QueueEntry::due`], now belongs to another worker.
    async fn reschedule(
        &self,
        entry: &QueueEntry,
        pause: Duration,
        failed: bool,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Removes an entry, unless a request has added credentials to the entry since the caller read it.
    /// Returns whether the entry was removed.
    async fn remove_unchanged(&self, entry: &QueueEntry) -> Result<bool, StoreError>;

    /// Removes an entry. Returns whether the queue had the entry.
    async fn remove(&self, id: Uuid) -> Result<bool, StoreError>;

    /// Returns at most `most` entries in the order of [`QueueEntry::due`].
    async fn entries(&self, most: usize) -> Result<Vec<QueueEntry>, StoreError>;

    /// Returns the number of entries, including leased ones.
    async fn len(&self) -> Result<usize, StoreError>;

    /// Returns the [`QueueEntry::queued_at`] of the oldest entry; `None` if the queue is empty.
    async fn oldest(&self) -> Result<Option<Timestamp>, StoreError>;
}

/// An operation of the store failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store failed to {operation}: {cause}")]
pub struct StoreError {
    /// The words after `the store failed to`, for example `enqueue a logout`.
    pub operation: &'static str,
    /// The cause, for the log; the text contains no secret.
    pub cause: String,
}

/// The store cannot be opened, and a retry would not help. The text tells the operator the reason and, if
/// there is one, the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("GATEWAY_STORE: {0}")]
pub struct OpenStoreError(pub String);

/// Opens the configured store. A Redis that does not answer causes no error: the store keeps trying to
/// connect.
///
/// # Errors
/// `OpenStoreError` if another process has the file open, if the file is damaged, or if Redis refuses the
/// credentials.
pub async fn open(address: &StoreAddress) -> Result<Arc<dyn Store>, OpenStoreError> {
    Ok(match address {
        StoreAddress::Memory => Arc::new(MemoryStore::default()),
        StoreAddress::Redis(address) => Arc::new(RedisStore::open(address).await?),
        StoreAddress::File(path) => Arc::new(FileStore::open(path.clone()).await?),
    })
}

/// The content that the commands `logout-gateway queue` and `logout-gateway failures` show.
#[derive(Debug)]
pub struct StoreContents {
    /// The failure log, newest first.
    pub failures: Vec<Failure>,
    /// The entries in the order of [`QueueEntry::due`]; `None` if the store has no queue.
    pub entries: Option<Vec<QueueEntry>>,
}

impl StoreContents {
    /// Reads the failure log and the queue of an open store.
    async fn read(store: &dyn Store) -> Result<Self, OpenStoreError> {
        let open_error = |cause: StoreError| OpenStoreError(cause.to_string());
        let failures = store.failures(FAILURES_KEPT).await.map_err(open_error)?;
        let entries = match store.queue() {
            Some(queue) => Some(queue.entries(usize::MAX).await.map_err(open_error)?),
            None => None,
        };
        Ok(Self { failures, entries })
    }
}

/// Reads the failure log and the queue without changing the store. A gateway may use the store at the same
/// time.
///
/// # Errors
/// `OpenStoreError` if the store cannot be opened or read, or if its file does not exist.
pub async fn read_only(address: &StoreAddress) -> Result<StoreContents, OpenStoreError> {
    match address {
        StoreAddress::File(path) => FileStore::read_only(path.clone()).await,
        StoreAddress::Memory | StoreAddress::Redis(_) => {
            StoreContents::read(&*open(address).await?).await
        }
    }
}

/// The result of diagnosing a store, which `logout-gateway check` prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// The kind of store, with its version or path.
    pub(crate) found: String,
    /// Weak settings and their consequences, one sentence each.
    pub(crate) weaknesses: Vec<String>,
}

/// Finds the weak settings of a store, one sentence each. A gateway may have the store open.
///
/// # Errors
/// The reason why the store cannot be examined now, as a text for the log.
pub(crate) async fn weaknesses(address: &StoreAddress) -> Result<Vec<String>, String> {
    match address {
        StoreAddress::Memory => Ok(Vec::new()),
        StoreAddress::Redis(address) => Ok(RedisStore::diagnose(address).await?.weaknesses),
        StoreAddress::File(path) => FileStore::weaknesses(path.clone()).await,
    }
}

/// Diagnoses the configured store. Redis must be reachable.
///
/// # Errors
/// The reason why a gateway cannot use the store, as a text for the operator.
pub async fn diagnose(address: &StoreAddress) -> Result<Diagnosis, String> {
    match address {
        StoreAddress::Memory => {
            let found = "memory: revocations are forgotten at a restart".to_owned();
            Ok(Diagnosis { found, weaknesses: Vec::new() })
        }
        StoreAddress::Redis(address) => RedisStore::diagnose(address).await,
        StoreAddress::File(path) => FileStore::diagnose(path.clone()).await,
    }
}
