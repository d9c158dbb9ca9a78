//! Which tokens `verify` has to refuse because of the logouts so far.

use std::collections::HashMap;

use super::step::Scope;

/// The revocation list as the contract has it.
#[derive(Default)]
pub(super) struct Listed {
    /// Of each session whether it is certain.
    sessions: HashMap<usize, bool>,
    cut_offs: Vec<CutOff>,
}

struct CutOff {
    user: usize,
    spared: Option<usize>,
    before: i64,
    certain: bool,
}

impl Listed {
    /// A logout of `session` at `now`.
    pub(super) fn enter(
        &mut self,
        user: usize,
        session: usize,
        scope: Scope,
        now: i64,
        certain: bool,
    ) {
        if scope != Scope::Others {
            *self.sessions.entry(session).or_default() |= certain;
        }
        if scope != Scope::Local {
            let spared = (scope == Scope::Others).then_some(session);
            self.cut_offs.push(CutOff { user, spared, before: now, certain });
        }
    }

    /// Whether a token of `session` is refused; `None` where that is not certain.
    pub(super) fn refuses(&self, user: usize, session: usize, issued_at: i64) -> Option<bool> {
        let cut_offs = self.cut_offs.iter().filter(|cut_off| {
            cut_off.user == user && cut_off.spared != Some(session) && issued_at < cut_off.before
        });
        let certain =
            cut_offs.map(|cut_off| cut_off.certain).chain(self.sessions.get(&session).copied());
        match certain.max() {
            None => Some(false),
            Some(true) => Some(true),
            Some(false) => None,
        }
    }
}
