//! One test binary: a real gateway on port 0 beside the mock.

mod config;
mod mock_command;
mod mock_control;
mod mock_faults;
mod mock_gotrue;
mod mock_harness;
mod mock_recordings;
mod demo;
