//! A thin gateway that ends Supabase sessions, completely and truthfully.
//!
//! How a logout request and its response pass through the modules:
//!
//! ```text
//! request  -> http::server -> http::middleware -> http::routes::logout -> session, csrf
//!          -> logout -> gotrue, store, queue
//! response <- http::middleware <- http::routes::logout::response, http::error
//!          <- session::cookies::deletion <- LogoutReport
//! ```
//!
//! Only `config` reads the environment, only `gotrue` calls GoTrue, only `clock` reads the system's time.
//! [`cli`] has the commands of the binary. `ARCHITECTURE.md` describes every module.

#![cfg_attr(
    not(feature = "internals"),
    expect(unreachable_pub, reason = "`internals` re-exports the `pub` items")
)]

pub mod cli;
mod clock;
mod config;
mod core_dumps;
mod csrf;
mod demo;
mod failure_log;
mod fd_limit;
mod gateway;
mod gotrue;
mod http;
#[cfg(feature = "internals")]
pub mod internals;
mod key_derivation;
mod logout;
mod operation;
mod outcome;
mod queue;
mod queue_worker;
mod readiness;
mod session;
mod store;
mod telemetry;

pub use clock::Clock;
pub use config::{Args, Config, ConfigErrors, ListenAddress};
pub use gateway::{Gateway, StartError};
