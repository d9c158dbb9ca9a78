//! The handlers of the routes: GoTrue's endpoints, one file each, and the control endpoints.

pub(crate) mod admin;
pub(crate) mod authorize;
pub(crate) mod callback;
pub(crate) mod consent;
pub(crate) mod control;
pub(crate) mod discovery;
pub(crate) mod factor_verification;
pub(crate) mod factors;
pub(crate) mod health;
pub(crate) mod id_token;
pub(crate) mod identities;
pub(crate) mod invite;
pub(crate) mod logout;
pub(crate) mod missing;
pub(crate) mod otp;
pub(crate) mod page;
pub(crate) mod project;
pub(crate) mod reauthenticate;
pub(crate) mod recover;
pub(crate) mod settings;
pub(crate) mod sign_up;
pub(crate) mod token;
pub(crate) mod unrouted;
pub(crate) mod user;
pub(crate) mod user_update;
pub(crate) mod verify;
