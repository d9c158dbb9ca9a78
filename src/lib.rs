//! A thin gateway that ends Supabase sessions, completely and truthfully.
//!
//! The way of a logout, one room after the other:
//!
//! ```text
//! request  -> server -> app -> routes::logout -> session -> csrf -> logout -> gotrue, store
//! response <- error / routes::logout <- session::cookies <- logout::Outcome
//! ```
//!
//! Only [`config`] reads the environment, only [`gotrue`] speaks to GoTrue, only [`clock`] asks the
//! system for the time. [`cli`] has the commands of the binary.

pub mod cli;
pub mod clock;
pub mod config;
mod core_dumps;
pub mod csrf;
mod demo;
pub mod failure_log;
mod fd_limit;
pub mod gateway;
pub mod gotrue;
pub mod http;
pub mod key_derivation;
pub mod logout;
pub mod outcome;
pub mod queue;
pub mod readiness;
pub mod session;
pub mod store;
pub mod telemetry;
