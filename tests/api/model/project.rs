//! The projects that the same histories are told of.

use logout_gateway::mock::Algorithm;

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
}

pub(super) const PROJECTS: [Project; 5] = [
    Project { judge: Judge::KeySet, durable: false },
    Project { judge: Judge::Secret, durable: false },
    Project { judge: Judge::GoTrue, durable: false },
    Project { judge: Judge::KeySet, durable: true },
    Project { judge: Judge::GoTrue, durable: true },
];

impl Project {
    pub(super) fn algorithm(self) -> Algorithm {
        if self.judge == Judge::KeySet { Algorithm::Es256 } else { Algorithm::Hs256 }
    }
}
