//! The model of the revocation list: which tokens `verify` must refuse after the logouts so far.

use std::collections::HashMap;

use super::step::Scope;

/// The shortest time for which the gateway keeps an entry, in seconds.
const LIFETIME: i64 = 7 * 86_400;

/// The entries that the revocation list must have according to the contract.
#[derive(Default)]
pub(super) struct ExpectedRevocations {
    sessions: Vec<(usize, Entry)>,
    cut_offs: Vec<CutOff>,
    /// The sessions whose unconfirmed logout has set a cut-off, each with whether that is certain.
    unconfirmed: HashMap<usize, bool>,
}

#[derive(Clone, Copy)]
struct Entry {
    /// The time of the logout, in seconds since the Unix epoch.
    at: i64,
    certain: bool,
}

/// Refuses the tokens of a user that were issued up to the time `before`, except those of the session
/// `spared`.
struct CutOff {
    user: usize,
    spared: Option<usize>,
    before: i64,
    line: Entry,
}

/// A logout that the gateway has recorded, or may have recorded, in the revocation list.
#[derive(Clone, Copy)]
pub(super) struct RecordedLogout {
    pub(super) user: usize,
    pub(super) session: usize,
    pub(super) scope: Scope,
    /// The time of the logout request, in seconds since the Unix epoch.
    pub(super) at: i64,
    /// The claim `iat` of the session's access token. It is after `at` if the clock went back.
    pub(super) issued_at: i64,
    /// Whether GoTrue may have refreshed the access token for the logout.
    pub(super) may_be_refreshed: bool,
    /// Whether the gateway has certainly recorded the logout.
    pub(super) certain: bool,
}

impl ExpectedRevocations {
    /// Records a logout that has ended all sessions of its scope.
    pub(super) fn insert(&mut self, logout: RecordedLogout) {
        if logout.scope != Scope::Others {
            self.insert_session(logout);
        }
        if logout.scope != Scope::Local {
            self.insert_cut_off(logout, logout.at);
        }
    }

    /// Records a logout as the revocation of only the session that signed out.
    pub(super) fn insert_session(
        &mut self,
        RecordedLogout { session, at, certain, .. }: RecordedLogout,
    ) {
        self.sessions.push((session, Entry { at, certain }));
    }

    /// Records a logout that the queue's worker may do at any later time.
    pub(super) fn insert_queued(&mut self, logout: RecordedLogout) {
        let logout = RecordedLogout { certain: false, ..logout };
        self.insert_session(logout);
        if logout.scope != Scope::Local {
            self.insert_cut_off(logout, i64::MAX);
        }
    }

    fn insert_cut_off(&mut self, logout: RecordedLogout, before: i64) {
        let RecordedLogout { user, session, scope, at, certain, .. } = logout;
        let spared = (scope == Scope::Others).then_some(session);
        let mut insert = |before, certain| {
            self.cut_offs.push(CutOff { user, spared, before, line: Entry { at, certain } });
        };
        insert(before, certain);
        // If the token's `iat` is after the time of the logout, the gateway's clock is behind GoTrue's. The
        // cut-off must then not be before the `iat`.
        if logout.issued_at > before {
            insert(logout.issued_at, certain && !logout.may_be_refreshed);
        }
    }

    /// Records a logout that GoTrue did not confirm. It sets one cut-off for the session, but none if
    /// `listed` says that the gateway refused the session's token already before.
    pub(super) fn insert_unconfirmed(&mut self, logout: RecordedLogout, listed: Option<bool>) {
        if logout.scope != Scope::Others {
            self.insert_session(logout);
        }
        let counted = self.unconfirmed.get(&logout.session).copied();
        if logout.scope == Scope::Local || listed == Some(true) || counted == Some(true) {
            return;
        }
        let certain = logout.certain && listed == Some(false) && counted.is_none();
        self.insert_cut_off(RecordedLogout { certain, ..logout }, logout.at);
        *self.unconfirmed.entry(logout.session).or_default() |= certain;
    }

    /// Whether the gateway must refuse a token of `session` at the time `now`; `None` if the model cannot
    /// tell.
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
