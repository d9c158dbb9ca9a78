//! Tests of the mock by HTTP: what GoTrue's endpoints and the control endpoints answer, and what they change.

#![expect(
    clippy::disallowed_methods,
    reason = "the tests' own clock, and clients that talk to the mock on loopback"
)]

mod control;
mod endings;
mod faults;
mod gotrue;
mod harness;
mod mails;
mod operations;
mod passwords;
mod recordings;
