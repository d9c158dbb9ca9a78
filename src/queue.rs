//! The queue of logouts that GoTrue failed to do, and the worker that retries them.

pub(crate) mod backoff;
pub mod bounds;
pub mod credentials;
pub(crate) mod enqueue;
pub mod entry;
pub(crate) mod worker;
