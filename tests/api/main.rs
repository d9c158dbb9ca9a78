//! One test binary: a real gateway on port 0 beside the mock.

mod config;
mod demo;
