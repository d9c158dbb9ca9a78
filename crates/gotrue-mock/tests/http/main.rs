//! Tests of the mock by HTTP: what GoTrue's endpoints and the control endpoints answer, and what they change.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a helper that panics makes its test fail, as it should"
)]

mod audit_log;
mod codes;
mod control;
mod endings;
mod factors;
mod fault_kinds;
mod faults;
mod gotrue;
mod harness;
mod identities;
mod initial_users;
mod mails;
mod missing;
mod operations;
mod passwords;
mod providers;
mod recordings;
mod routing;
mod seed;
mod transactions;
mod worlds;
