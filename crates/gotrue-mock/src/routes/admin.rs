//! The endpoints of administrators, under `/admin`. Each requires an administrator's token before anything else.

pub(crate) mod audit;
pub(crate) mod create;
pub(crate) mod factors;
pub(crate) mod links;
pub(crate) mod list;
pub(crate) mod sso;
pub(crate) mod update;
pub(crate) mod users;
