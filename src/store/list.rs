//! The revocation list: which logouts there were, and which access tokens they refuse.
//!
//! 1. `local` refuses the session's tokens. `global` and `others` refuse the tokens of their user that
//!    were issued before a cut-off, `others` sparing the session that asked; `global` refuses the
//!    session that asked in any case.
//! 2. `iat` has whole seconds. A token of the cut-off's own second is not before it: a new sign-in is
//!    never refused. What remains open is a token issued in that second before the logout; its session
//!    is over at GoTrue all the same.
//! 3. An entry lives as long as the longest token it can match.
//!
//! A sharded map for each of sessions and users, so that readers of different sessions do not meet.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dashmap::DashMap;
use uuid::Uuid;

use crate::{config::Scope, session::token::Claims};

/// One logout, as the revocation list remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Whose.
    pub user: Uuid,
    /// The session that asked for it.
    pub session: Uuid,
    /// Which of the user's sessions it ends.
    pub scope: Scope,
    /// Tokens issued before it are refused where the scope is not `local`; seconds since the Unix
    /// epoch, by GoTrue's clock.
    pub cut_off: i64,
    /// When no token it can match is alive any more; seconds since the Unix epoch.
    pub until: i64,
}

impl Revocation {
    /// The logout of `claims` at `now`; `cut_off` is the time by GoTrue's clock, as far as it is known.
    /// It is remembered as long as the longest token it can match lives.
    #[must_use]
    pub fn new(
        claims: &Claims,
        scope: Scope,
        cut_off: SystemTime,
        now: i64,
        lifetime: Duration,
    ) -> Self {
        let lifetime = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
        let since_epoch = cut_off.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self {
            user: claims.sub,
            session: claims.session_id,
            scope,
            cut_off: i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX),
            until: now.saturating_add(lifetime).max(claims.exp),
        }
    }

    /// What it leaves on the list.
    pub fn marks(&self) -> impl Iterator<Item = Mark> + use<> {
        let Self { user, session, scope, cut_off: before, until } = *self;
        let spared = (scope == Scope::Others).then_some(session);
        let ended = (scope != Scope::Others).then_some(Mark::Session { session, until });
        let cut_off =
            (scope != Scope::Local).then_some(Mark::CutOff { user, spared, before, until });
        ended.into_iter().chain(cut_off)
    }
}

/// One line of the list. Of two for the same session, or for the same user and spared session, the
/// later `until` and the later `before` count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mark {
    /// No token of this session is believed.
    Session {
        /// The session.
        session: Uuid,
        /// Seconds since the Unix epoch.
        until: i64,
    },
    /// No token of this user is believed that was issued before.
    CutOff {
        /// The user.
        user: Uuid,
        /// The session that stays: the one that asked for `others`.
        spared: Option<Uuid>,
        /// Seconds since the Unix epoch.
        before: i64,
        /// Seconds since the Unix epoch.
        until: i64,
    },
}

impl Mark {
    /// When no token it can match is alive any more; seconds since the Unix epoch.
    #[must_use]
    pub fn until(&self) -> i64 {
        let (Self::Session { until, .. } | Self::CutOff { until, .. }) = *self;
        until
    }

    /// Whether it refuses a token at `now`, seconds since the Unix epoch. A token without `iat` counts
    /// as older than any cut-off.
    #[must_use]
    pub fn refuses(&self, claims: &Claims, now: i64) -> bool {
        let matches = match *self {
            Self::Session { session, .. } => session == claims.session_id,
            Self::CutOff { user, spared, before, .. } => {
                user == claims.sub
                    && spared != Some(claims.session_id)
                    && claims.iat.is_none_or(|iat| iat < before)
            }
        };
        matches && self.until() > now
    }
}

/// The list in this process's memory.
#[derive(Debug, Default)]
pub struct List {
    /// Ended sessions, each until when.
    sessions: DashMap<Uuid, i64>,
    /// What was ended for whole users; few entries each.
    users: DashMap<Uuid, Vec<CutOff>>,
}

#[derive(Debug)]
struct CutOff {
    before: i64,
    spared: Option<Uuid>,
    until: i64,
}

impl List {
    /// Enters a line.
    pub fn enter(&self, mark: Mark) {
        match mark {
            Mark::Session { session, until } => {
                let mut entry = self.sessions.entry(session).or_insert(until);
                *entry = (*entry).max(until);
            }
            Mark::CutOff { user, spared, before, until } => {
                // Room for one: most users have no second.
                let mut cut_offs = self.users.entry(user).or_insert_with(|| Vec::with_capacity(1));
                match cut_offs.iter_mut().find(|c| c.spared == spared) {
                    Some(known) => {
                        known.before = known.before.max(before);
                        known.until = known.until.max(until);
                    }
                    None => cut_offs.push(CutOff { before, spared, until }),
                }
            }
        }
    }

    /// Whether a token is on the list at `now`, seconds since the Unix epoch.
    #[must_use]
    pub fn refuses(&self, claims: &Claims, now: i64) -> bool {
        let ended = self.sessions.get(&claims.session_id).is_some_and(|until| *until > now);
        ended
            || self.users.get(&claims.sub).is_some_and(|cut_offs| {
                let user = claims.sub;
                cut_offs.iter().any(|&CutOff { before, spared, until }| {
                    Mark::CutOff { user, spared, before, until }.refuses(claims, now)
                })
            })
    }

    /// Whether entering this line would change nothing.
    #[must_use]
    pub fn holds(&self, mark: &Mark) -> bool {
        match *mark {
            Mark::Session { session, until } => {
                self.sessions.get(&session).is_some_and(|known| *known >= until)
            }
            Mark::CutOff { user, spared, before, until } => {
                self.users.get(&user).is_some_and(|cut_offs| {
                    let known = cut_offs.iter().find(|c| c.spared == spared);
                    known.is_some_and(|c| c.before >= before && c.until >= until)
                })
            }
        }
    }

    /// The lines, in no order. Whoever walks them must not enter any.
    pub fn marks(&self) -> impl Iterator<Item = Mark> {
        let sessions = self.sessions.iter();
        let sessions = sessions.map(|line| Mark::Session { session: *line.key(), until: *line });
        let users =
            self.users.iter().flat_map(|line| {
                let user = *line.key();
                let cut_offs = line.iter().map(move |&CutOff { before, spared, until }| {
                    Mark::CutOff { user, spared, before, until }
                });
                cut_offs.collect::<Vec<_>>()
            });
        sessions.chain(users)
    }

    /// Forgets what no living token can match at `now`, seconds since the Unix epoch.
    pub fn forget_outlived(&self, now: i64) {
        self.sessions.retain(|_, until| *until > now);
        self.users.retain(|_, cut_offs| {
            cut_offs.retain(|c| c.until > now);
            !cut_offs.is_empty()
        });
    }

    /// How many lines there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions.len() + self.users.iter().map(|cut_offs| cut_offs.len()).sum::<usize>()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.users.is_empty()
    }
}

#[cfg(test)]
mod tests;
