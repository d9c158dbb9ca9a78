//! Revocations that could not be done at once, and are done later.

pub mod backoff;
pub mod credentials;
pub mod entry;
pub mod postponing;
pub mod worker;
