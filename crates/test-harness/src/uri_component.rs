//! What JavaScript's `encodeURIComponent` writes in percent-encoding.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};

/// `encodeURIComponent` leaves these alone.
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
