//! The handlers of the routes: GoTrue's endpoints, one file each, and the control routes.

pub(crate) mod control;
pub(crate) mod discovery;
pub(crate) mod health;
pub(crate) mod logout;
pub(crate) mod token;
pub(crate) mod user;
