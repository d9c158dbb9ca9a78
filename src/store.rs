//! The store: the revocation list, the queue of logouts to retry, and the failure log.
//!
//! 1. Three stores implement it: `memory` (nothing survives a restart, no queue), `file` (durable, one
//!    process) and `redis` (shared by all instances).
//! 2. After `Ok` the data is durable: the file store has written it to the disk; Redis keeps it as its
//!    persistence is configured.
//! 3. A store that does not know whether a token is revoked returns an error: the gateway accepts no token
//!    on a guess.

pub mod failure;
pub(crate) mod file;
pub(crate) mod instrumented;
pub mod list;
pub mod memory;
pub(crate) mod operation;
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
    queue::{
        bounds::{Bounds, QueueFullError},
        entry::QueueEntry,
    },
    session::token::Claims,
};

/// The failure log keeps this many of the newest failures.
pub const FAILURES_KEPT: usize = 10_000;
/// The failure log keeps this many of the newest failures of one user, so that one account cannot displace the
/// failures of others.
pub const FAILURES_KEPT_OF_USER: usize = 100;

/// A store of revocations and failures, and of queued logouts if it survives a restart.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync {
    /// Records a logout on the revocation list. This instance refuses its tokens from now on, even if the store
    /// fails.
    ///
    /// # Errors
    /// [`StoreError`] if the revocation may be lost at a restart, or is not known to other instances yet. The
    /// store retries by itself.
    async fn revoke(&self, revocation: &Revocation) -> Result<(), StoreError>;

    /// Whether the revocation list refuses a token at `now`.
    ///
    /// # Errors
    /// [`StoreError`] if that is not known: another instance may have revoked it.
    async fn is_revoked(&self, claims: &Claims, now: Timestamp) -> Result<bool, StoreError>;

    /// The list in this process's memory. A revocation of another instance may be missing.
    fn list(&self) -> &RevocationList;

    /// Brings [`Store::list`] up to date about the session and the user of `claims`; asks the store only if
    /// this instance does not know the whole list.
    ///
    /// # Errors
    /// [`StoreError`]; then revocations of other instances may be missing.
    async fn sync_list(&self, claims: &Claims) -> Result<(), StoreError>;

    /// Removes the revocations that no unexpired token can match at `now`.
    ///
    /// # Errors
    /// [`StoreError`]; then they remain until the next call.
    async fn purge_expired(&self, now: Timestamp) -> Result<(), StoreError>;

    /// Appends to the failure log, which keeps the newest [`FAILURES_KEPT`], and the newest
    /// [`FAILURES_KEPT_OF_USER`] of each user.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing was appended.
    async fn append_failures(&self, failures: &[Failure]) -> Result<(), StoreError>;

    /// The newest failures first, `most` at most.
    async fn failures(&self, most: usize) -> Result<Vec<Failure>, StoreError>;

    /// The queue of logouts to retry; `None` if a restart would lose it.
    fn queue(&self) -> Option<&dyn Queue>;

    /// Whether the store has loaded the whole list once and can answer now.
    fn is_ready(&self) -> bool;

    /// Whether the store is loading the list for the first time, and has had no error so far.
    fn is_loading(&self) -> bool {
        false
    }

    /// Runs the store's background work; it never returns while the store works.
    async fn run(&self);
}

/// A queue of logouts to retry, with one entry for each session and scope. One worker at a time leases an
/// entry.
///
/// `now` is the gateway's time, for stores without a clock of their own: [`QueueEntry::queued_at`],
/// [`QueueEntry::due`] and [`QueueEntry::failed_at`] are by the store's clock. Leasing, rescheduling and
/// removing work in a store that is full, so that the queue can drain.
#[expect(
    clippy::len_without_is_empty,
    reason = "each question may be a round trip: callers ask for the number"
)]
#[async_trait]
pub trait Queue: Send + Sync {
    /// Adds an entry that is due after `pause`, if `bounds` allow it. If the queue has an entry of that id, it
    /// merges the new credentials into that one (`QueueEntry::merged_with`) and leaves its due time.
    ///
    /// # Errors
    /// [`StoreError`] if the entry may be lost at a restart; [`QueueFullError`] if a bound is reached.
    async fn enqueue(
        &self,
        entry: &QueueEntry,
        pause: Duration,
        bounds: &Bounds,
        now: Timestamp,
    ) -> Result<Result<(), QueueFullError>, StoreError>;

    /// The entry of that id.
    async fn get(&self, id: Uuid) -> Result<Option<QueueEntry>, StoreError>;

    /// Leases up to `most` due entries, the ones that failed last at the end. The lease ends at
    /// [`QueueEntry::due`], `lease` from now: then another worker may take the entry, because the first one may
    /// have died. An entry that is due later than the longest pause
    /// (`backoff::MAX_RETRY_AFTER`) counts as due now: only a wrong
    /// clock sets such a time. Entries that this release cannot read do not block others.
    async fn lease(
        &self,
        lease: Duration,
        most: usize,
        now: Timestamp,
    ) -> Result<Vec<QueueEntry>, StoreError>;

    /// Makes a leased entry due after `pause`, and stores its new [`QueueEntry::attempts`],
    /// [`QueueEntry::reason`] and [`QueueEntry::tried`]. The credentials in the store stay; if a request added
    /// some since the entry was read, the entry is due at once, because they were not tried yet. `failed`: the
    /// entry was tried and failed. Returns `false`, and changes nothing, if the entry was removed or its lease,
    /// which ends at [`QueueEntry::due`], is another worker's.
    async fn reschedule(
        &self,
        entry: &QueueEntry,
        pause: Duration,
        failed: bool,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Removes an entry unless a request added credentials to it since it was read; returns whether it was
    /// removed.
    async fn remove_unchanged(&self, entry: &QueueEntry) -> Result<bool, StoreError>;

    /// Removes an entry; returns whether it was there.
    async fn remove(&self, id: Uuid) -> Result<bool, StoreError>;

    /// The entries in the order of [`QueueEntry::due`], `most` at most.
    async fn entries(&self, most: usize) -> Result<Vec<QueueEntry>, StoreError>;

    /// The number of entries, leased ones included.
    async fn len(&self) -> Result<usize, StoreError>;

    /// The [`QueueEntry::queued_at`] of the oldest entry.
    async fn oldest(&self) -> Result<Option<Timestamp>, StoreError>;
}

/// An operation of the store failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store failed to {operation}: {cause}")]
pub struct StoreError {
    /// The operation, in a few words for the log.
    pub operation: &'static str,
    /// The cause; it holds no secret.
    pub cause: String,
}

/// The store cannot be opened, and a retry would not help: a message for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("GATEWAY_STORE: {0}")]
pub struct OpenStoreError(pub String);

/// Opens the configured store. A Redis that does not answer is no error: the store keeps connecting.
///
/// # Errors
/// `OpenStoreError`: another process holds the file, it is damaged, or Redis refuses the credentials.
pub async fn open(address: &StoreAddress) -> Result<Arc<dyn Store>, OpenStoreError> {
    Ok(match address {
        StoreAddress::Memory => Arc::new(MemoryStore::default()),
        StoreAddress::Redis(address) => Arc::new(RedisStore::open(address).await?),
        StoreAddress::File(path) => Arc::new(FileStore::open(path.clone()).await?),
    })
}

/// The failure log and the queue, for `logout-gateway queue` and `failures`.
#[derive(Debug)]
pub struct StoreContents {
    /// The failure log, newest first.
    pub failures: Vec<Failure>,
    /// The entries in the order of [`QueueEntry::due`]; `None` if the store has no queue.
    pub entries: Option<Vec<QueueEntry>>,
}

impl StoreContents {
    /// Reads an open store.
    async fn read(store: &dyn Store) -> Result<Self, OpenStoreError> {
        let unread = |cause: StoreError| OpenStoreError(cause.to_string());
        let failures = store.failures(FAILURES_KEPT).await.map_err(unread)?;
        let entries = match store.queue() {
            Some(queue) => Some(queue.entries(usize::MAX).await.map_err(unread)?),
            None => None,
        };
        Ok(Self { failures, entries })
    }
}

/// Reads a store without changing it, also while a gateway uses it.
///
/// # Errors
/// `OpenStoreError`, also if the file does not exist.
pub async fn read_only(address: &StoreAddress) -> Result<StoreContents, OpenStoreError> {
    match address {
        StoreAddress::File(path) => FileStore::read_only(path.clone()).await,
        StoreAddress::Memory | StoreAddress::Redis(_) => {
            StoreContents::read(&*open(address).await?).await
        }
    }
}

/// What `check` prints about a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// The kind of store, its version or path.
    pub(crate) found: String,
    /// Weak settings and their consequences, a sentence each.
    pub(crate) weaknesses: Vec<String>,
}

/// The weaknesses of a store that a gateway has open, a sentence each.
///
/// # Errors
/// Why the store cannot be examined now.
pub(crate) async fn weaknesses(address: &StoreAddress) -> Result<Vec<String>, String> {
    match address {
        StoreAddress::Memory => Ok(Vec::new()),
        StoreAddress::Redis(address) => Ok(RedisStore::diagnose(address).await?.weaknesses),
        StoreAddress::File(path) => FileStore::weaknesses(path.clone()).await,
    }
}

/// Diagnoses the configured store, which must answer.
///
/// # Errors
/// Why it cannot be used.
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
