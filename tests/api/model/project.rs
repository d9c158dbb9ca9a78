//! The kinds of projects in which the sequences are run.

use gotrue_mock::Algorithm;

/// How the signatures of tokens are verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum VerifiedBy {
    /// By the gateway, with the project's key set.
    KeySet,
    /// By the gateway, with the shared secret.
    Secret,
    /// Only by GoTrue: the gateway does not have the shared secret.
    GoTrue,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Project {
    pub(super) verified_by: VerifiedBy,
    /// The gateway has a store file: it queues logouts when GoTrue fails, and list and queue survive a
    /// restart.
    pub(super) durable: bool,
    /// A proxy in front of GoTrue refuses request heads over [`MAX_HEAD_BYTES`].
    pub(super) behind_proxy: bool,
}

/// The longest request head that the proxy forwards, in bytes.
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
