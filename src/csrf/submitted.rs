//! The CSRF token that a page submits in a header or a form field.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;

/// A submitted CSRF token. It has no `==`: it can only be compared in constant time, so that the time of a
/// comparison tells an attacker nothing about the value.
#[derive(Clone, Copy)]
pub struct SubmittedToken<'r>(&'r [u8]);

impl<'r> SubmittedToken<'r> {
    /// The value of the header or field.
    #[must_use]
    pub fn new(value: &'r [u8]) -> Self {
        Self(value)
    }

    /// Whether the value is empty.
    pub(crate) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Whether the cookie has the same value. The time of the comparison depends on the length alone.
    pub(crate) fn equals(self, cookie: &str) -> bool {
        verify_slices_are_equal(self.0, cookie.as_bytes()).is_ok()
    }
}

/// A log line must not show the value.
impl fmt::Debug for SubmittedToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubmittedToken(hidden)")
    }
}
