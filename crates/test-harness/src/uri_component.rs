//! The characters that JavaScript's `encodeURIComponent` percent-encodes.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};

/// Everything except ASCII letters, digits and these nine.
pub const URI_COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');
