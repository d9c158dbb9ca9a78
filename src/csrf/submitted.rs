//! The CSRF token that a page submits in a header or a form field.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;

/// A submitted CSRF token. It implements no `==`, so that it can only be compared in constant time: the
/// duration of a comparison must reveal nothing about the value.
#[derive(Clone, Copy)]
pub struct SubmittedToken<'r>(&'r [u8]);

impl<'r> SubmittedToken<'r> {
    /// Takes the value of the header or of the form field.
    #[must_use]
    pub fn new(value: &'r [u8]) -> Self {
        Self(value)
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Whether the cookie has the same value. The duration of the comparison depends only on the lengths.
    pub(crate) fn equals(self, cookie: &str) -> bool {
        verify_slices_are_equal(self.0, cookie.as_bytes()).is_ok()
    }
}

/// Hides the value, because log lines must not show it.
impl fmt::Debug for SubmittedToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubmittedToken(hidden)")
    }
}
