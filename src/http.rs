//! HTTP in: the listeners, the routes, and how every result becomes a response.
//!
//! Everything here may use the rest of the crate; nothing in the rest of the crate uses this module but the
//! gateway, which starts it.

pub(crate) mod authentication;
pub mod client_addr;
pub(crate) mod context;
pub(crate) mod error;
pub(crate) mod headers;
pub(crate) mod in_flight_limit;
pub(crate) mod middleware;
pub(crate) mod revoked_session_log;
pub mod router;
pub(crate) mod routes;
pub(crate) mod server;
pub mod state;
