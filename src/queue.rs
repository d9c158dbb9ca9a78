//! The queue of logouts that GoTrue could not carry out when they were requested, and the worker that retries
//! them.

pub(crate) mod backoff;
pub mod bounds;
pub mod credentials;
pub(crate) mod enqueue;
pub mod entry;
pub(crate) mod worker;
