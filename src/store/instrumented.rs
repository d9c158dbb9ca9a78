//! Wraps a store: counts its errors in a metric, and records a span for each operation.

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
    operation::store::StoreOperation,
    session::token::Claims,
    store::{
        bounds::{Bounds, QueueFullError},
        entry::QueueEntry,
    },
    telemetry::{metrics::Metrics, traces},
};

/// A store whose errors are counted and whose operations have spans.
#[derive(Debug)]
pub(crate) struct InstrumentedStore {
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
}

impl InstrumentedStore {
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
        let none = || StoreError {
            operation: "use the queue",
            cause: "this store has no queue".to_owned(),
        };
        self.store.queue().ok_or_else(none)
    }
}

/// Implements a trait for [`InstrumentedStore`]. Each row `Operation => method(…)` becomes a method that
/// calls the wrapped store, under the name of that [`StoreOperation`] in metrics and traces. The methods after the
/// table are used as written.
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

    /// Counts an error as one of `is_revoked`, because both methods look up the same revocations. There is no
    /// span, because the method usually makes no call: the list is usually known to be complete.
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
