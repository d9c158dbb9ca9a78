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
    operation::StoreOperation,
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
pub(crate) struct InstrumentedStore {
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
}

impl InstrumentedStore {
    /// Instruments `store`.
    pub(crate) fn new(store: Arc<dyn Store>, metrics: Arc<Metrics>) -> Self {
        Self { store, metrics }
    }

    async fn instrument<T>(
        &self,
        operation: StoreOperation,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let span = traces::store(operation.as_str());
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

/// Implements a trait: each method of the table is passed to the wrapped store, as that
/// [`StoreOperation`] in metrics and traces; the other methods follow.
macro_rules! instrumented {
    (
        $trait:ident by |$this:ident| ($inner:expr);
        { $($operation:ident => $method:ident($($argument:ident: $type:ty),*) -> $value:ty;)* }
        $($others:tt)*
    ) => {
        #[async_trait]
        impl $trait for InstrumentedStore {
            $(async fn $method(&self, $($argument: $type),*) -> Result<$value, StoreError> {
                let $this = self;
                self.instrument(StoreOperation::$operation, $inner.$method($($argument),*)).await
            })*

            $($others)*
        }
    };
}

instrumented! {
    Store by |this| (this.store);
    {
        Revoke => revoke(revocation: &Revocation) -> ();
        IsRevoked => is_revoked(claims: &Claims, now: Timestamp) -> bool;
        PurgeExpired => purge_expired(now: Timestamp) -> ();
        AppendFailures => append_failures(failures: &[Failure]) -> ();
        Failures => failures(most: usize) -> Vec<Failure>;
    }

    /// An error counts as one of `is_revoked`, for it asks the store the same question. There is no span:
    /// a list that is known to be complete asks nothing.
    async fn sync_list(&self, claims: &Claims) -> Result<(), StoreError> {
        let synced = self.store.sync_list(claims).await;
        synced.inspect_err(|_| self.metrics.store_failed(StoreOperation::IsRevoked))
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
        Enqueue => enqueue(entry: &QueueEntry, pause: Duration, bounds: &Bounds, now: Timestamp)
            -> Result<(), QueueFullError>;
        Get => get(id: Uuid) -> Option<QueueEntry>;
        Lease => lease(lease: Duration, most: usize, now: Timestamp) -> Vec<QueueEntry>;
        Reschedule => reschedule(entry: &QueueEntry, pause: Duration, failed: bool, now: Timestamp) -> bool;
        Remove => remove_unchanged(entry: &QueueEntry) -> bool;
        Remove => remove(id: Uuid) -> bool;
        Entries => entries(most: usize) -> Vec<QueueEntry>;
        Len => len() -> usize;
        Oldest => oldest() -> Option<Timestamp>;
    }
}
