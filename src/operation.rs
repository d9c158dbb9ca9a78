//! The operations of GoTrue and of the store, as metrics, traces and log lines name them.

pub(crate) mod gotrue;
pub(crate) mod store;
