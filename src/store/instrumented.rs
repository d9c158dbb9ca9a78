//! A store that counts the failures of another one, and traces its operations.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tracing::Instrument as _;
use uuid::Uuid;

use super::{
    Queue, Store, StoreError,
    failure::Failure,
    list::{Revocation, RevocationList},
    operation::Operation,
};
use crate::{
    queue::{
        bounds::{Bounds, QueueFullError},
        entry::QueueEntry,
    },
    session::token::Claims,
    telemetry::{metrics::Metrics, traces},
};

/// Passes every operation on to another store.
#[derive(Debug)]
pub struct InstrumentedStore {
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
}

impl InstrumentedStore {
    /// Passes everything on to `store`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, metrics: Arc<Metrics>) -> Self {
        Self { store, metrics }
    }

    async fn watch<T>(
        &self,
        operation: Operation,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let span = traces::store(operation.as_str());
        let done = work.instrument(span.clone()).await;
        done.inspect_err(|_| {
            traces::failed(&span);
            self.metrics.store_failed(operation);
        })
    }

    /// The queue behind this one. `Store::queue` has checked that there is one.
    fn behind(&self) -> Result<&dyn Queue, StoreError> {
        let none = || StoreError { operation: "queue", cause: "there is no queue".to_owned() };
        self.store.queue().ok_or_else(none)
    }
}

#[async_trait]
impl Store for InstrumentedStore {
    async fn revoke(&self, revocation: &Revocation) -> Result<(), StoreError> {
        self.watch(Operation::Revoke, self.store.revoke(revocation)).await
    }

    async fn is_revoked(&self, claims: &Claims, now: i64) -> Result<bool, StoreError> {
        self.watch(Operation::IsRevoked, self.store.is_revoked(claims, now)).await
    }

    fn list(&self) -> &RevocationList {
        self.store.list()
    }

    /// Counted as `is_revoked`, for it asks the store the same question. It has no span, because a list that is
    /// known to be complete asks nothing.
    async fn learn(&self, claims: &Claims) -> Result<(), StoreError> {
        let learned = self.store.learn(claims).await;
        learned.inspect_err(|_| self.metrics.store_failed(Operation::IsRevoked))
    }

    async fn purge_expired(&self, now: i64) -> Result<(), StoreError> {
        self.watch(Operation::PurgeExpired, self.store.purge_expired(now)).await
    }

    async fn note(&self, failures: &[Failure]) -> Result<(), StoreError> {
        self.watch(Operation::AppendFailures, self.store.note(failures)).await
    }

    async fn failures(&self, most: usize) -> Result<Vec<Failure>, StoreError> {
        self.watch(Operation::Failures, self.store.failures(most)).await
    }

    fn queue(&self) -> Option<&dyn Queue> {
        self.store.queue().map(|_| self as &dyn Queue)
    }

    fn ready(&self) -> bool {
        self.store.ready()
    }

    fn is_loading(&self) -> bool {
        self.store.is_loading()
    }

    async fn keep(&self) {
        self.store.keep().await;
    }
}

#[async_trait]
impl Queue for InstrumentedStore {
    async fn enqueue(
        &self,
        entry: &QueueEntry,
        pause: Duration,
        bounds: &Bounds,
        now: i64,
    ) -> Result<Result<(), QueueFullError>, StoreError> {
        self.watch(Operation::Enqueue, self.behind()?.enqueue(entry, pause, bounds, now)).await
    }

    async fn get(&self, id: Uuid) -> Result<Option<QueueEntry>, StoreError> {
        self.watch(Operation::Get, self.behind()?.get(id)).await
    }

    async fn lease(
        &self,
        lease: Duration,
        most: usize,
        now: i64,
    ) -> Result<Vec<QueueEntry>, StoreError> {
        self.watch(Operation::Lease, self.behind()?.lease(lease, most, now)).await
    }

    async fn reschedule(
        &self,
        entry: &QueueEntry,
        pause: Duration,
        failed: bool,
        now: i64,
    ) -> Result<bool, StoreError> {
        self.watch(Operation::Reschedule, self.behind()?.reschedule(entry, pause, failed, now))
            .await
    }

    async fn remove_unchanged(&self, entry: &QueueEntry) -> Result<bool, StoreError> {
        self.watch(Operation::Remove, self.behind()?.remove_unchanged(entry)).await
    }

    async fn remove(&self, id: Uuid) -> Result<bool, StoreError> {
        self.watch(Operation::Remove, self.behind()?.remove(id)).await
    }

    async fn entries(&self, most: usize) -> Result<Vec<QueueEntry>, StoreError> {
        self.watch(Operation::Entries, self.behind()?.entries(most)).await
    }

    async fn waiting(&self) -> Result<usize, StoreError> {
        self.watch(Operation::Len, self.behind()?.waiting()).await
    }

    async fn oldest(&self) -> Result<Option<i64>, StoreError> {
        self.watch(Operation::Oldest, self.behind()?.oldest()).await
    }
}
