//! The queue of logouts that GoTrue failed to do, and the worker that retries them.

pub mod backoff;
pub mod bounds;
pub mod credentials;
pub mod enqueue;
pub mod entry;
pub mod worker;
