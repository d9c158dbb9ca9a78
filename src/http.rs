//! Serves HTTP: the listeners, the routes, and the conversion of every result into a response.
//!
//! This module may use the rest of the crate. Of the rest, only `gateway` uses this module, to start it.

pub(crate) mod authentication;
pub mod client_addr;
pub(crate) mod context;
pub(crate) mod error;
pub(crate) mod headers;
pub(crate) mod in_flight_limit;
pub(crate) mod middleware;
pub(crate) mod other_project_log;
pub(crate) mod revoked_session_log;
pub mod router;
pub(crate) mod routes;
pub(crate) mod server;
pub mod state;
