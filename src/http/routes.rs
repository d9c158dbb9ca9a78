//! The handlers, one file for each group of routes. Their paths and layers are in `http::router`.

pub(super) mod admin;
pub(super) mod csrf;
pub(super) mod docs;
pub(super) mod health;
pub(crate) mod logout;
mod page_policy;
pub(super) mod status;
pub(crate) mod verify;
