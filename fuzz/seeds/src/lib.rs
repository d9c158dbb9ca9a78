//! The recordings of `fixtures/` for the fuzz targets and their seeds.

pub mod csrf;
pub mod recorded;

/// The value of `GATEWAY_SECRET` in every fuzz target.
pub const SECRET: &str = "the-secret-of-the-fuzz-targets-0123456789";
/// The value of `GATEWAY_SECRET_PREVIOUS` in every fuzz target.
pub const PREVIOUS_SECRET: &str = "the-secret-before-that-of-the-fuzz-targets";
/// An origin that `GATEWAY_ALLOWED_ORIGINS` of every fuzz target contains.
pub const ALLOWED_ORIGIN: &str = "https://app.example.com";
