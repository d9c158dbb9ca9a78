//! The characters that JavaScript's `encodeURIComponent` percent-encodes.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};

/// The percent-encoded ASCII characters: all except letters, digits and the nine characters removed here.
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
