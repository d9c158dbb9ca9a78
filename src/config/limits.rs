//! The smallest and largest permitted values of the settings under "Limits".

pub(super) const MOST_AT_ONCE: usize = 1_000_000;
/// The smallest read buffer, in bytes, that hyper accepts: hyper panics if it is smaller.
pub(super) const LEAST_HEADER_BYTES: usize = 8 * 1024;
pub(super) const MOST_HEADER_BYTES: usize = 16 * 1024 * 1024;
