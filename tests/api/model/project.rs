//! The projects that the same histories are told of.

use gotrue_mock::Algorithm;

/// Who tells whether a token is genuine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judge {
    KeySet,
    Secret,
    /// The gateway has no secret: it passes on what it cannot judge.
    GoTrue,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Project {
    pub(super) judge: Judge,
    /// What GoTrue fails to do is queued; list and queue survive a restart.
    pub(super) durable: bool,
    /// A proxy in front of GoTrue refuses request heads over [`MOST_HEAD`].
    pub(super) behind_proxy: bool,
}

/// Bytes of a request head that the proxy passes on.
pub(super) const MOST_HEAD: usize = 16 * 1024;

const fn project(judge: Judge, durable: bool, behind_proxy: bool) -> Project {
    Project { judge, durable, behind_proxy }
}

pub(super) const PROJECTS: [Project; 7] = [
    project(Judge::KeySet, false, false),
    project(Judge::Secret, false, false),
    project(Judge::GoTrue, false, true),
    project(Judge::KeySet, true, false),
    project(Judge::KeySet, true, true),
    project(Judge::Secret, true, true),
    project(Judge::GoTrue, true, false),
];

impl Project {
    pub(super) fn algorithm(self) -> Algorithm {
        if self.judge == Judge::KeySet { Algorithm::Es256 } else { Algorithm::Hs256 }
    }
}
