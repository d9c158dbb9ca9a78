//! The queue of logouts that GoTrue could not carry out when they were requested: adding to it, and encrypting the
//! credentials in it. `store` keeps its entries, and `queue_worker` retries them.

pub(crate) mod backoff;
pub mod credentials;
pub(crate) mod enqueue;
