//! A thin gateway that ends Supabase sessions, completely and truthfully.
//!
//! The way of a logout:
//!
//! ```text
//! request  -> http::server -> http::middleware -> http::routes::logout -> session, csrf -> logout -> gotrue, store, queue
//! response <- http::middleware <- http::routes::logout::response, http::error <- session::cookies::deletion <- LogoutReport
//! ```
//!
//! Only [`config`] reads the environment, only [`gotrue`] calls GoTrue, only [`clock`] reads the system's time.
//! [`cli`] has the commands of the binary. `ARCHITECTURE.md` has the whole map.

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
