//! One test binary: a real gateway on port 0 beside the mock.

#![expect(clippy::unwrap_used, reason = "a helper that fails, fails its test")]
#![expect(dead_code, unused_imports, reason = "the tables that use the rest of the harness follow")]

mod config;
mod demo;
mod errors;
mod harness;
mod headers;
mod mock_command;
mod mock_control;
mod mock_faults;
mod mock_gotrue;
mod mock_harness;
mod mock_recordings;
mod outcomes;
mod refresh;
mod routes;
mod session;
mod tokens;
