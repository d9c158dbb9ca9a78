//! The operations of a store, by the names that metrics and traces use.

use strum::{IntoStaticStr, VariantArray};

/// An operation of the store or of its queue. The names are label values of `store_errors_total`. Dashboards
/// and alerts depend on them, so a name stays even if its method is renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum StoreOperation {
    /// Records a logout on the revocation list: `Store::revoke`.
    Revoke,
    /// Looks up a token on the revocation list: `Store::is_revoked` and `Store::sync_list`.
    IsRevoked,
    /// Removes expired revocations: `Store::purge_expired`.
    #[strum(serialize = "forget_outlived")]
    PurgeExpired,
    /// Appends to the failure log: `Store::append_failures`.
    #[strum(serialize = "note")]
    AppendFailures,
    /// Reads the failure log: `Store::failures`.
    Failures,
    /// Adds a logout to the queue: `Queue::enqueue`.
    Enqueue,
    /// Reads one queued logout: `Queue::get`.
    Get,
    /// Leases queued logouts to a worker: `Queue::lease`.
    Lease,
    /// Sets when a queued logout is tried again: `Queue::reschedule`.
    Reschedule,
    /// Removes a queued logout: `Queue::remove` and `Queue::remove_unchanged`.
    Remove,
    /// Lists the queue: `Queue::entries`.
    Entries,
    /// Counts the queued logouts: `Queue::len`.
    #[strum(serialize = "waiting")]
    Len,
    /// Reads when the oldest queued logout was queued: `Queue::oldest`.
    Oldest,
}

impl StoreOperation {
    /// The name of the operation: a label value of metrics and a field of spans.
    pub(crate) fn as_str(self) -> &'static str {
        self.into()
    }
}
