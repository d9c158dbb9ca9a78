//! What the fuzz targets share.

pub mod answering;
pub mod configuration;
pub mod cookie;
pub mod gotrue;
pub mod jar;
pub mod members;
pub mod message;
pub mod reply;
pub mod secrets;
pub mod signers;
pub mod stored;
