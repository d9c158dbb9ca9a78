//! The token that a page submits.

use aws_lc_rs::constant_time::verify_slices_are_equal;

/// The header `X-CSRF-Token`, to be compared in constant time and in no other way: whoever guesses
/// learns nothing by how long it takes. There is no `==`.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "a secret of the user's")]
pub struct SubmittedToken<'r>(&'r [u8]);

impl<'r> SubmittedToken<'r> {
    /// The header's value.
    #[must_use]
    pub fn new(value: &'r [u8]) -> Self {
        Self(value)
    }

    /// Whether nothing stands there.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Whether the cookie holds the same. Only the length may be told by the time that it takes.
    #[must_use]
    pub fn equals(self, cookie: &str) -> bool {
        verify_slices_are_equal(self.0, cookie.as_bytes()).is_ok()
    }
}
