//! The bounds of the limits.

pub(super) const MOST_AT_ONCE: usize = 1_000_000;
/// hyper panics on a buffer smaller than this.
pub(super) const LEAST_HEADER_BYTES: usize = 8 * 1024;
pub(super) const MOST_HEADER_BYTES: usize = 16 * 1024 * 1024;
