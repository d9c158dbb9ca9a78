//! A store whose failures are counted and whose work for a request is traced, whoever it is asked by.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use tracing::Instrument as _;
use uuid::Uuid;

use super::{
    Queue, Store, StoreError,
    failure::Failure,
    list::{Revocation, RevocationList},
};
use crate::{
    queue::{
        bounds::{Bounds, QueueFullError},
        entry::QueueEntry,
    },
    session::token::Claims,
    telemetry::{metrics::Metrics, traces},
};

/// The store behind it, and who counts.
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
        operation: &'static str,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let span = traces::store(operation);
        let done = work.instrument(span.clone()).await;
        done.inspect_err(|_| {
            traces::failed(&span);
            self.metrics.store_failed(operation);
        })
    }

    /// Only asked where there is one.
    fn behind(&self) -> Result<&dyn Queue, StoreError> {
        let none = || StoreError { operation: "queue", cause: "there is no queue".to_owned() };
        self.store.queue().ok_or_else(none)
    }
}

#[async_trait]
impl Store for InstrumentedStore {
    async fn revoke(&self, revocation: &Revocation) -> Result<(), StoreError> {
        self.watch("revoke", self.store.revoke(revocation)).await
    }

    async fn is_revoked(&self, claims: &Claims, now: Timestamp) -> Result<bool, StoreError> {
        self.watch("is_revoked", self.store.is_revoked(claims, now)).await
    }

    fn list(&self) -> &RevocationList {
        self.store.list()
    }

    /// Counted as `is_revoked`, for it asks the store the same question. It has no span, because a list that is
    /// known to be complete asks nothing.
    async fn sync_list(&self, claims: &Claims) -> Result<(), StoreError> {
        let learned = self.store.sync_list(claims).await;
        learned.inspect_err(|_| self.metrics.store_failed("is_revoked"))
    }

    async fn purge_expired(&self, now: Timestamp) -> Result<(), StoreError> {
        self.watch("forget_outlived", self.store.purge_expired(now)).await
    }

    async fn append_failures(&self, failures: &[Failure]) -> Result<(), StoreError> {
        self.watch("note", self.store.append_failures(failures)).await
    }

    async fn failures(&self, most: usize) -> Result<Vec<Failure>, StoreError> {
        self.watch("failures", self.store.failures(most)).await
    }

    fn queue(&self) -> Option<&dyn Queue> {
        self.store.queue().map(|_| self as &dyn Queue)
    }

    fn is_ready(&self) -> bool {
        self.store.is_ready()
    }

    fn is_loading(&self) -> bool {
        self.store.is_loading()
    }

    async fn run(&self) {
        self.store.run().await;
    }
}

#[async_trait]
impl Queue for InstrumentedStore {
    async fn enqueue(
        &self,
        entry: &QueueEntry,
        pause: Duration,
        bounds: &Bounds,
        now: Timestamp,
    ) -> Result<Result<(), QueueFullError>, StoreError> {
        self.watch("enqueue", self.behind()?.enqueue(entry, pause, bounds, now)).await
    }

    async fn get(&self, id: Uuid) -> Result<Option<QueueEntry>, StoreError> {
        self.watch("get", self.behind()?.get(id)).await
    }

    async fn lease(
        &self,
        lease: Duration,
        most: usize,
        now: Timestamp,
    ) -> Result<Vec<QueueEntry>, StoreError> {
        self.watch("lease", self.behind()?.lease(lease, most, now)).await
    }

    async fn reschedule(
        &self,
        entry: &QueueEntry,
        pause: Duration,
        failed: bool,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.watch("reschedule", self.behind()?.reschedule(entry, pause, failed, now)).await
    }

    async fn remove_unchanged(&self, entry: &QueueEntry) -> Result<bool, StoreError> {
        self.watch("remove", self.behind()?.remove_unchanged(entry)).await
    }

    async fn remove(&self, id: Uuid) -> Result<bool, StoreError> {
        self.watch("remove", self.behind()?.remove(id)).await
    }

    async fn entries(&self, most: usize) -> Result<Vec<QueueEntry>, StoreError> {
        self.watch("entries", self.behind()?.entries(most)).await
    }

    async fn len(&self) -> Result<usize, StoreError> {
        self.watch("waiting", self.behind()?.len()).await
    }

    async fn oldest(&self) -> Result<Option<Timestamp>, StoreError> {
        self.watch("oldest", self.behind()?.oldest()).await
    }
}
