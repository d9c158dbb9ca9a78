//! A store whose errors are counted, and whose operations have spans.

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

/// Wraps a store.
#[derive(Debug)]
pub struct InstrumentedStore {
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
}

impl InstrumentedStore {
    /// Instruments `store`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, metrics: Arc<Metrics>) -> Self {
        Self { store, metrics }
    }

    async fn instrument<T>(
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

    fn inner_queue(&self) -> Result<&dyn Queue, StoreError> {
        let none = || StoreError { operation: "queue", cause: "there is no queue".to_owned() };
        self.store.queue().ok_or_else(none)
    }
}

/// Implements a trait: each method of the table is passed to the wrapped store, as the operation of that
/// name in metrics and traces; the other methods follow.
macro_rules! instrumented {
    (
        $trait:ident by |$this:ident| ($inner:expr);
        { $($operation:literal => $method:ident($($argument:ident: $type:ty),*) -> $value:ty;)* }
        $($others:tt)*
    ) => {
        #[async_trait]
        impl $trait for InstrumentedStore {
            $(async fn $method(&self, $($argument: $type),*) -> Result<$value, StoreError> {
                let $this = self;
                self.instrument($operation, $inner.$method($($argument),*)).await
            })*

            $($others)*
        }
    };
}

instrumented! {
    Store by |this| (this.store);
    {
        "revoke" => revoke(revocation: &Revocation) -> ();
        "is_revoked" => is_revoked(claims: &Claims, now: Timestamp) -> bool;
        "forget_outlived" => purge_expired(now: Timestamp) -> ();
        "note" => append_failures(failures: &[Failure]) -> ();
        "failures" => failures(most: usize) -> Vec<Failure>;
    }

    /// An error counts as one of `is_revoked`, for it asks the store the same question. There is no span:
    /// a list that is known to be complete asks nothing.
    async fn sync_list(&self, claims: &Claims) -> Result<(), StoreError> {
        let synced = self.store.sync_list(claims).await;
        synced.inspect_err(|_| self.metrics.store_failed("is_revoked"))
    }

    fn list(&self) -> &RevocationList {
        self.store.list()
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

instrumented! {
    Queue by |this| (this.inner_queue()?);
    {
        "enqueue" => enqueue(entry: &QueueEntry, pause: Duration, bounds: &Bounds, now: Timestamp)
            -> Result<(), QueueFullError>;
        "get" => get(id: Uuid) -> Option<QueueEntry>;
        "lease" => lease(lease: Duration, most: usize, now: Timestamp) -> Vec<QueueEntry>;
        "reschedule" => reschedule(entry: &QueueEntry, pause: Duration, failed: bool, now: Timestamp) -> bool;
        "remove" => remove_unchanged(entry: &QueueEntry) -> bool;
        "remove" => remove(id: Uuid) -> bool;
        "entries" => entries(most: usize) -> Vec<QueueEntry>;
        "waiting" => len() -> usize;
        "oldest" => oldest() -> Option<Timestamp>;
    }
}
