//! The handlers of the routes: GoTrue's endpoints, one file each, and the control routes.

pub(crate) mod control;
pub(crate) mod discovery;
pub(crate) mod health;
pub(crate) mod logout;
pub(crate) mod missing;
pub(crate) mod otp;
pub(crate) mod recover;
pub(crate) mod settings;
pub(crate) mod sign_up;
pub(crate) mod token;
pub(crate) mod user;
pub(crate) mod verify;
