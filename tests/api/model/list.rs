//! Which tokens `verify` has to refuse because of the logouts so far.

use std::collections::HashMap;

use super::step::Scope;

/// How long a line lives at least, in seconds.
const LIFETIME: i64 = 7 * 86_400;

/// The revocation list as the contract has it.
#[derive(Default)]
pub(super) struct Listed {
    sessions: Vec<(usize, Line)>,
    cut_offs: Vec<CutOff>,
    /// Of each session that has set a cut-off which GoTrue did not confirm, whether that is certain.
    counted: HashMap<usize, bool>,
}

#[derive(Clone, Copy)]
struct Line {
    /// When it was entered.
    at: i64,
    certain: bool,
}

struct CutOff {
    user: usize,
    spared: Option<usize>,
    before: i64,
    line: Line,
}

/// A logout that is to be entered.
#[derive(Clone, Copy)]
pub(super) struct Entered {
    pub(super) user: usize,
    pub(super) session: usize,
    pub(super) scope: Scope,
    /// When it was asked for.
    pub(super) at: i64,
    /// Whether it is certain that the gateway has entered it.
    pub(super) certain: bool,
}

impl Listed {
    /// A logout that ends the sessions of its scope.
    pub(super) fn enter(&mut self, entered: Entered) {
        if entered.scope != Scope::Others {
            self.enter_session(entered);
        }
        if entered.scope != Scope::Local {
            self.enter_cut_off(entered, entered.at);
        }
    }

    /// The session that asked, alone.
    pub(super) fn enter_session(&mut self, Entered { session, at, certain, .. }: Entered) {
        self.sessions.push((session, Line { at, certain }));
    }

    /// A logout that the queue may do at any time from now on.
    pub(super) fn enter_later(&mut self, entered: Entered) {
        let entered = Entered { certain: false, ..entered };
        self.enter_session(entered);
        if entered.scope != Scope::Local {
            self.enter_cut_off(entered, i64::MAX);
        }
    }

    fn enter_cut_off(&mut self, entered: Entered, before: i64) {
        let Entered { user, session, scope, at, certain } = entered;
        let spared = (scope == Scope::Others).then_some(session);
        self.cut_offs.push(CutOff { user, spared, before, line: Line { at, certain } });
    }

    /// A logout that GoTrue did not confirm, of a session whose token is `listed` so far: it sets one
    /// cut-off for the session, and none where the token is refused already.
    pub(super) fn enter_unconfirmed(&mut self, entered: Entered, listed: Option<bool>) {
        if entered.scope != Scope::Others {
            self.enter_session(entered);
        }
        let counted = self.counted.get(&entered.session).copied();
        if entered.scope == Scope::Local || listed == Some(true) || counted == Some(true) {
            return;
        }
        let certain = entered.certain && listed == Some(false) && counted.is_none();
        self.enter_cut_off(Entered { certain, ..entered }, entered.at);
        *self.counted.entry(entered.session).or_default() |= certain;
    }

    /// Whether a token of `session` is refused at `now`; `None` where that is not certain.
    pub(super) fn refuses(
        &self,
        user: usize,
        session: usize,
        issued_at: i64,
        now: i64,
    ) -> Option<bool> {
        let cut_offs = self.cut_offs.iter().filter(|cut_off| {
            cut_off.user == user && cut_off.spared != Some(session) && issued_at <= cut_off.before
        });
        let sessions = self.sessions.iter().filter(|(ended, _)| *ended == session);
        let lines = cut_offs.map(|cut_off| cut_off.line).chain(sessions.map(|(_, line)| *line));
        match lines.map(|line| line.certain && now - line.at < LIFETIME).max() {
            None => Some(false),
            Some(true) => Some(true),
            Some(false) => None,
        }
    }
}
