//! Revocations that could not be done at once, and are done later.

pub mod backoff;
pub mod bounds;
pub mod credentials;
pub mod enqueue;
pub mod entry;
pub mod worker;
