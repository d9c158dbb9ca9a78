//! HTTP in: the listeners, the routes, and how every result becomes a response.
//!
//! Everything here may use the rest of the crate; nothing in the rest of the crate uses this module but the
//! gateway, which starts it.

pub mod authentication;
pub mod client_addr;
pub mod context;
pub mod error;
pub mod headers;
pub mod middleware;
pub mod places;
pub mod revoked_session_log;
pub mod router;
pub mod routes;
pub mod server;
pub mod state;
