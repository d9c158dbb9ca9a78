//! The kinds of projects in which the model test runs its sequences.

use gotrue_mock::Algorithm;

/// Who verifies the signatures of the project's tokens, and with what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum VerifiedBy {
    /// The gateway verifies them with the project's key set.
    KeySet,
    /// The gateway verifies them with the shared secret.
    Secret,
    /// Only GoTrue verifies them, because the gateway does not have the shared secret.
    GoTrue,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Project {
    pub(super) verified_by: VerifiedBy,
    /// Whether the gateway has a store file: then it queues logouts when GoTrue fails, and the revocation
    /// list and the queue survive a restart.
    pub(super) durable: bool,
    /// Whether a proxy in front of GoTrue refuses request heads over [`MAX_HEAD_BYTES`].
    pub(super) behind_proxy: bool,
}

/// The longest request head, in bytes, that the proxy in front of GoTrue forwards.
pub(super) const MAX_HEAD_BYTES: usize = 16 * 1024;

const fn project(verified_by: VerifiedBy, durable: bool, behind_proxy: bool) -> Project {
    Project { verified_by, durable, behind_proxy }
}

pub(super) const PROJECTS: [Project; 7] = [
    project(VerifiedBy::KeySet, false, false),
    project(VerifiedBy::Secret, false, false),
    project(VerifiedBy::GoTrue, false, true),
    project(VerifiedBy::KeySet, true, false),
    project(VerifiedBy::KeySet, true, true),
    project(VerifiedBy::Secret, true, true),
    project(VerifiedBy::GoTrue, true, false),
];

impl Project {
    pub(super) fn algorithm(self) -> Algorithm {
        if self.verified_by == VerifiedBy::KeySet { Algorithm::Es256 } else { Algorithm::Hs256 }
    }
}
