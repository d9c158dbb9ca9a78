//! What the verification of a code or a token hash brings.

use uuid::Uuid;

use crate::one_time_tokens::CodeKind;

/// What a right code or token hash brings.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Accepted {
    /// The user may sign in. `code` is the kind of the code that matched.
    User { id: Uuid, code: CodeKind },
    /// The first of two codes for a new e-mail address, which brings no session.
    FirstOfTwo,
}
