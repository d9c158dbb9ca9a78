//! The recordings of `fixtures/` for the fuzz targets and their seeds.

pub mod csrf;
pub mod recorded;

/// `GATEWAY_SECRET` of every target.
pub const SECRET: &str = "the-secret-of-the-fuzz-targets-0123456789";
/// `GATEWAY_SECRET_PREVIOUS` of every target.
pub const PREVIOUS_SECRET: &str = "the-secret-before-that-of-the-fuzz-targets";
/// In `GATEWAY_ALLOWED_ORIGINS` of every target.
pub const ALLOWED_ORIGIN: &str = "https://app.example.com";
