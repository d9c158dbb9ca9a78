//! What the store is asked for, as metrics and traces name it.

use strum::{IntoStaticStr, VariantArray};

/// An operation of the store or of its queue. The words are labels of `store_errors_total`: dashboards and
/// alerts depend on them, so they stay where a method got another name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum StoreOperation {
    /// `Store::revoke`
    Revoke,
    /// `Store::is_revoked` and `Store::sync_list`
    IsRevoked,
    /// `Store::purge_expired`
    #[strum(serialize = "forget_outlived")]
    PurgeExpired,
    /// `Store::append_failures`
    #[strum(serialize = "note")]
    AppendFailures,
    /// `Store::failures`
    Failures,
    /// `Queue::enqueue`
    Enqueue,
    /// `Queue::get`
    Get,
    /// `Queue::lease`
    Lease,
    /// `Queue::reschedule`
    Reschedule,
    /// `Queue::remove` and `Queue::remove_unchanged`
    Remove,
    /// `Queue::entries`
    Entries,
    /// `Queue::len`
    #[strum(serialize = "waiting")]
    Len,
    /// `Queue::oldest`
    Oldest,
}

impl StoreOperation {
    /// The label of metrics and the field of spans.
    pub(crate) fn as_str(self) -> &'static str {
        self.into()
    }
}
