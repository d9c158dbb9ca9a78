//! Where ended sessions, postponed revocations and failed logouts are kept.
//!
//! 1. Three stores keep the same promises: `memory` (nothing survives a restart, no queue), `file`
//!    (durable, one process) and `redis` (shared by all instances).
//! 2. What a method has answered with `Ok` is kept: in the file it is on the disk, in Redis as safe as
//!    its operator made it.
//! 3. A store that cannot tell whether a token is on the list says so; nobody is let in on a guess.

pub mod failure;
pub mod file;
pub mod instrumented;
pub mod list;
pub mod memory;
pub mod operation;
pub mod redis;

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

/// Failures kept: the last ones.
pub const FAILURES_KEPT: usize = 10_000;
/// Failures kept of one user: the last ones. One account pushes out no failures of others.
pub const FAILURES_KEPT_OF_USER: usize = 100;

/// The revocation list and the failure log; with a queue where it survives a restart.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync {
    /// Enters a logout into the revocation list. This instance refuses its tokens from now on, even if
    /// the store fails.
    ///
    /// # Errors
    /// [`StoreError`] when it might not survive, or other instances do not hear of it yet. The store
    /// tries again by itself.
    async fn revoke(&self, revocation: &Revocation) -> Result<(), StoreError>;

    /// Whether a token is on the list at `now`, seconds since the Unix epoch.
    ///
    /// # Errors
    /// [`StoreError`] when nobody can tell.
    async fn is_revoked(&self, claims: &Claims, now: Timestamp) -> Result<bool, StoreError>;

    /// The list as far as this instance knows it. What it refuses is refused; what it lacks, another
    /// instance may have entered.
    fn list(&self) -> &RevocationList;

    /// Brings [`Store::list`] up to date about the session and the user of `claims`: where this instance
    /// does not know the whole list, it asks the store.
    ///
    /// # Errors
    /// [`StoreError`]; then what the list lacks about them, another instance may have entered.
    async fn sync_list(&self, claims: &Claims) -> Result<(), StoreError>;

    /// Forgets what no living token can match at `now`, seconds since the Unix epoch.
    ///
    /// # Errors
    /// [`StoreError`]; then it is still there.
    async fn purge_expired(&self, now: Timestamp) -> Result<(), StoreError>;

    /// Adds to the failure log, of which the last [`FAILURES_KEPT`] stay, and the last
    /// [`FAILURES_KEPT_OF_USER`] of each user.
    ///
    /// # Errors
    /// [`StoreError`]; then they are not kept.
    async fn append_failures(&self, failures: &[Failure]) -> Result<(), StoreError>;

    /// The failure log, newest first, `most` of it.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn failures(&self, most: usize) -> Result<Vec<Failure>, StoreError>;

    /// The queue of postponed revocations, unless a restart would lose it.
    fn queue(&self) -> Option<&dyn Queue>;

    /// Whether it can tell who is on the list, and has read the whole list once.
    fn is_ready(&self) -> bool;

    /// Whether the list is being read for the first time, and nothing went wrong so far.
    fn is_loading(&self) -> bool {
        false
    }

    /// Whatever has to go on in the background, for ever.
    async fn run(&self);
}

/// Queued revocations, one entry for each session and scope. An entry is handed out to one worker at a
/// time.
///
/// `now` is the time by the gateway's clock, in milliseconds since the Unix epoch, for stores that have no
/// clock of their own: [`QueueEntry::queued_at`], [`QueueEntry::due`] and [`QueueEntry::failed_at`] are by the clock of
/// the store. What takes, reschedules and removes entries needs no room in a store that is full.
#[expect(
    clippy::len_without_is_empty,
    reason = "each question may be a round trip: callers ask for the number"
)]
#[async_trait]
pub trait Queue: Send + Sync {
    /// Adds an entry that is due after `pause`, within `bounds`. Where the queue has one of that id, it
    /// gets the credentials of this one ([`QueueEntry::merged_with`]), and is due when it was.
    ///
    /// # Errors
    /// [`StoreError`] when it might not survive; [`QueueFullError`] when there is no room.
    async fn enqueue(
        &self,
        entry: &QueueEntry,
        pause: Duration,
        bounds: &Bounds,
        now: Timestamp,
    ) -> Result<Result<(), QueueFullError>, StoreError>;

    /// The entry of that id.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn get(&self, id: Uuid) -> Result<Option<QueueEntry>, StoreError>;

    /// Up to `most` entries that are due, those that failed last at the end. They are due again after
    /// `lease`, and [`QueueEntry::due`] tells when: the worker that took them may die. An entry that is due
    /// later than any pause lasts ([`backoff::MAX_RETRY_AFTER`](crate::queue::backoff::MAX_RETRY_AFTER)) is due now: a wrong clock put it there. Entries that
    /// this release cannot read hinder no others.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn lease(
        &self,
        lease: Duration,
        most: usize,
        now: Timestamp,
    ) -> Result<Vec<QueueEntry>, StoreError>;

    /// Makes an entry, whose lease ends at [`QueueEntry::due`], due after `pause`, with its new
    /// [`QueueEntry::attempts`], [`QueueEntry::reason`] and [`QueueEntry::tried`]; its credentials stay as they are in
    /// the store. If some were added since it was read, it is due at once: they were not tried yet. `failed` tells whether it was tried and failed. Nothing happens if it was removed, or
    /// another worker holds it. Answers whether it was done.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn reschedule(
        &self,
        entry: &QueueEntry,
        pause: Duration,
        failed: bool,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Removes an entry unless credentials were added to it since it was read; answers whether it did.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn remove_unchanged(&self, entry: &QueueEntry) -> Result<bool, StoreError>;

    /// Removes an entry; answers whether it was there.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn remove(&self, id: Uuid) -> Result<bool, StoreError>;

    /// The entries by [`QueueEntry::due`], `most` of them.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn entries(&self, most: usize) -> Result<Vec<QueueEntry>, StoreError>;

    /// How many there are.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn len(&self) -> Result<usize, StoreError>;

    /// The earliest [`QueueEntry::queued_at`].
    ///
    /// # Errors
    /// [`StoreError`].
    async fn oldest(&self) -> Result<Option<Timestamp>, StoreError>;
}

/// The store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store failed to {operation}: {cause}")]
pub struct StoreError {
    /// What it was asked, one of a few words.
    pub operation: &'static str,
    /// Why, without any secret.
    pub cause: String,
}

/// The store cannot be used, and waiting will not help: a message for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("GATEWAY_STORE: {0}")]
pub struct OpenStoreError(pub String);

/// Opens the configured store. A Redis that does not answer is no reason to fail: it may come up later.
///
/// # Errors
/// [`OpenStoreError`]: another process holds the file, it is damaged, or Redis refuses the credentials.
pub async fn open(address: &StoreAddress) -> Result<Arc<dyn Store>, OpenStoreError> {
    Ok(match address {
        StoreAddress::Memory => Arc::new(MemoryStore::default()),
        StoreAddress::Redis(address) => Arc::new(RedisStore::open(address).await?),
        StoreAddress::File(path) => Arc::new(FileStore::open(path.clone()).await?),
    })
}

/// What an operator looks at.
#[derive(Debug)]
pub struct StoreContents {
    /// The failure log, newest first.
    pub failures: Vec<Failure>,
    /// The queue by [`QueueEntry::due`], unless there is none.
    pub entries: Option<Vec<QueueEntry>>,
}

impl StoreContents {
    /// Of a store that is open.
    async fn of(store: &dyn Store) -> Result<Self, OpenStoreError> {
        let fault = |fault: StoreError| OpenStoreError(fault.to_string());
        let failures = store.failures(FAILURES_KEPT).await.map_err(fault)?;
        let entries = match store.queue() {
            Some(queue) => Some(queue.entries(usize::MAX).await.map_err(fault)?),
            None => None,
        };
        Ok(Self { failures, entries })
    }
}

/// Looks into a store, also while a gateway uses it.
///
/// # Errors
/// [`OpenStoreError`], also if there is no file to look into.
pub async fn read_only(address: &StoreAddress) -> Result<StoreContents, OpenStoreError> {
    match address {
        StoreAddress::File(path) => FileStore::read_only(path.clone()).await,
        StoreAddress::Memory | StoreAddress::Redis(_) => {
            StoreContents::of(&*open(address).await?).await
        }
    }
}

/// A store, as an operator wants to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// What was found.
    pub found: String,
    /// What is weak about it and what follows, a sentence each.
    pub weaknesses: Vec<String>,
}

/// The weaknesses of a store that a gateway has open, a sentence each.
///
/// # Errors
/// Why the store cannot be examined now.
pub async fn weaknesses(address: &StoreAddress) -> Result<Vec<String>, String> {
    match address {
        StoreAddress::Memory => Ok(Vec::new()),
        StoreAddress::Redis(address) => Ok(RedisStore::diagnose(address).await?.weaknesses),
        StoreAddress::File(path) => FileStore::weaknesses(path.clone()).await,
    }
}

/// Looks at the configured store, which must answer.
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
