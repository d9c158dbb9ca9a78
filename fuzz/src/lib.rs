//! Code that the fuzz targets share.

pub mod configuration;
pub mod cookie;
pub mod cookie_jar;
pub mod gotrue;
pub mod members;
pub mod message;
pub mod reply;
pub mod secrets;
pub mod server_response;
pub mod signers;
pub mod stored;
