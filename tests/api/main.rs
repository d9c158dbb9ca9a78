//! One test binary: a real gateway on port 0 beside the mock.

#![expect(clippy::unwrap_used, reason = "a helper that fails, fails its test")]
#![expect(dead_code, unused_imports, reason = "the tables that use the rest of the harness follow")]

mod config;
mod cookie_reading;
mod cookies;
mod cross_site;
mod csrf;
mod errors;
mod harness;
mod headers;
mod limits;
mod outcomes;
mod recorded_jars;
mod refresh;
mod refusals;
mod routes;
mod session;
mod tokens;
mod upstream;
mod verify;
