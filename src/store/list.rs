//! The revocation list: the logouts, and the access tokens that they refuse.
//!
//! 1. A logout of scope `local` refuses the tokens of its session. `global` and `others` set a cut-off, a
//!    point in time: they refuse the tokens of the user that were issued at or before it. `others` spares the
//!    session that requested the logout; `global` refuses every token of that session.
//! 2. The claim `iat` has whole seconds. A token issued in the second of the cut-off may be older than the
//!    logout, so the list refuses it. A session that begins in that second is therefore refused until it
//!    refreshes its token.
//! 3. An entry is kept until the last token that it can match has expired, and seven days longer if GoTrue
//!    did not confirm the end of the session ([`Revocation::unconfirmed`]).
//! 4. A user has two cut-offs at most, however many logouts there were ([`UserCutOffs`]).
//! 5. Besides ended sessions and cut-offs, the list holds facts about sessions ([`SessionFact`]).
//!
//! Sessions, facts and users have a sharded map each, so that threads that read different sessions do not
//! wait for the same lock.

mod cut_offs;

use std::time::Duration;

use dashmap::DashMap;
use jiff::Timestamp;
use uuid::Uuid;

pub use self::cut_offs::{CutOff, UserCutOffs};
use crate::{
    clock::{after, from_unix_seconds},
    outcome::Scope,
    session::token::Claims,
};

/// How long the worker retries a logout that GoTrue did not confirm.
const RETRIED_FOR: Duration = Duration::from_hours(7 * 24);

/// One logout, as the revocation list records it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// The user whose sessions the logout ends.
    pub user: Uuid,
    /// The session that requested the logout.
    pub session: Uuid,
    /// Which of the user's sessions the logout ends.
    pub scope: Scope,
    /// For `global` and `others`: the list refuses tokens that were issued at or before this time, which is
    /// by GoTrue's clock, in whole seconds.
    pub cut_off: Timestamp,
    /// When the last token that the logout can match has expired, in whole seconds.
    pub until: Timestamp,
    /// Whether GoTrue confirmed that the sessions have ended.
    pub is_confirmed: bool,
}

impl Revocation {
    /// The revocation of a logout at `now` that a token with `claims` requested and GoTrue confirmed.
    /// `cut_off` is the time by GoTrue's clock, as far as it is known. `lifetime` is the longest lifetime of
    /// an access token: the entry is kept until `now + lifetime`, or until the token with `claims` expires if
    /// that is later.
    #[must_use]
    pub fn new(
        claims: &Claims,
        scope: Scope,
        cut_off: Timestamp,
        now: Timestamp,
        lifetime: Duration,
    ) -> Self {
        let until = after(in_seconds(now), Duration::from_secs(lifetime.as_secs()));
        Self {
            user: claims.sub,
            session: claims.session_id,
            scope,
            cut_off: in_seconds(cut_off),
            until: until.max(from_unix_seconds(claims.exp)),
            is_confirmed: true,
        }
    }

    /// The same logout, but not confirmed by GoTrue. The session may still exist and refresh its tokens, so
    /// the entry is kept seven days longer.
    #[must_use]
    pub fn unconfirmed(self) -> Self {
        let until = after(self.until, RETRIED_FOR);
        Self { until, is_confirmed: false, ..self }
    }

    /// The entries that the logout adds to the list.
    pub(crate) fn entries(&self) -> impl Iterator<Item = RevocationEntry> + use<> {
        let Self { user, session, scope, cut_off: before, until, is_confirmed } = *self;
        let ends_session = scope != Scope::Others;
        let has_cut_off = scope != Scope::Local;
        let spared = (scope == Scope::Others).then_some(session);
        let fact = match (is_confirmed, ends_session, has_cut_off) {
            (true, true, _) => Some(SessionFact::Ended),
            (false, _, true) => Some(SessionFact::CutOffCounted),
            _ => None,
        };
        let ended = ends_session.then_some(RevocationEntry::Session { session, until });
        let fact = fact.map(|fact| RevocationEntry::Session { session: fact.key(session), until });
        let cut_off =
            has_cut_off.then_some(RevocationEntry::CutOff { user, spared, before, until });
        ended.into_iter().chain(fact).chain(cut_off)
    }
}

/// Cuts off the fraction of a second. Stores keep whole seconds: an entry with a fraction would differ from
/// the same entry read back from the store.
fn in_seconds(time: Timestamp) -> Timestamp {
    from_unix_seconds(time.as_second())
}

/// A fact about a session. Lists and stores keep a fact as if it were an ended session, under the session's
/// id with another UUID version (RFC 9562, section 4.2). The ids of GoTrue have version 4, so the two never
/// collide, and stores and older releases need no support for facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionFact {
    /// GoTrue confirmed that the session has ended.
    Ended,
    /// A `global` or `others` logout of this session has set a cut-off without being confirmed by GoTrue.
    /// Further unconfirmed logouts of the session set no cut-off.
    CutOffCounted,
}

impl SessionFact {
    const VERSION_SHIFT: u32 = 76;
    const VERSION_MASK: u128 = 0xF << Self::VERSION_SHIFT;

    /// The id under which the list holds this fact about `session`.
    pub(crate) fn key(self, session: Uuid) -> Uuid {
        let version: u128 = match self {
            Self::Ended => 0xE,
            Self::CutOffCounted => 0xF,
        };
        let id = session.as_u128() & !Self::VERSION_MASK;
        Uuid::from_u128(id | version << Self::VERSION_SHIFT)
    }

    fn is_key(id: Uuid) -> bool {
        (id.as_u128() & Self::VERSION_MASK) >> Self::VERSION_SHIFT >= 0xE
    }
}

/// One entry of the list. If there are two for the same session, the later `until` is kept; the cut-offs of
/// one user are folded ([`UserCutOffs`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RevocationEntry {
    /// The list refuses every token of this session.
    Session {
        /// The session's id, or a `SessionFact::key`.
        session: Uuid,
        /// When the last token of the session has expired.
        until: Timestamp,
    },
    /// The list refuses this user's tokens that were issued at or before a point in time.
    CutOff {
        /// The user whose tokens are refused.
        user: Uuid,
        /// The session that requested `others` and is not refused; `None` for `global`.
        spared: Option<Uuid>,
        /// Tokens issued at or before this time are refused.
        before: Timestamp,
        /// When the last of those tokens has expired.
        until: Timestamp,
    },
}

impl RevocationEntry {
    /// When the last token that the entry can match has expired.
    pub(crate) fn until(&self) -> Timestamp {
        let (Self::Session { until, .. } | Self::CutOff { until, .. }) = *self;
        until
    }

    /// Whether the entry refuses a token at `now`. A token without `iat` counts as older than any cut-off.
    pub(crate) fn refuses(&self, claims: &Claims, now: Timestamp) -> bool {
        let matches = match *self {
            Self::Session { session, .. } => session == claims.session_id,
            Self::CutOff { user, spared, before, .. } => {
                user == claims.sub
                    && spared != Some(claims.session_id)
                    && claims.iat.is_none_or(|iat| iat <= before.as_second())
            }
        };
        matches && self.until() > now
    }
}

/// The revocation list in this process's memory.
#[derive(Debug, Default)]
pub struct RevocationList {
    /// Ended sessions; each value is the entry's `until`.
    sessions: DashMap<Uuid, Timestamp>,
    /// Facts about sessions by [`SessionFact::key`]; each value is the entry's `until`.
    facts: DashMap<Uuid, Timestamp>,
    /// The cut-offs of each user.
    users: DashMap<Uuid, UserCutOffs>,
}

impl RevocationList {
    /// Adds an entry, or extends the one that the list has.
    pub(crate) fn insert(&self, entry: RevocationEntry) {
        match entry {
            RevocationEntry::Session { session, until } => {
                let mut entry = self.map_of(session).entry(session).or_insert(until);
                *entry = (*entry).max(until);
            }
            RevocationEntry::CutOff { user, spared, before, until } => {
                let mut cut_offs = self.users.entry(user).or_default();
                cut_offs.fold(spared, CutOff { before, until });
            }
        }
    }

    fn map_of(&self, id: Uuid) -> &DashMap<Uuid, Timestamp> {
        if SessionFact::is_key(id) { &self.facts } else { &self.sessions }
    }

    /// Whether the list refuses a token at `now`.
    #[must_use]
    pub fn refuses(&self, claims: &Claims, now: Timestamp) -> bool {
        let ended = self.sessions.get(&claims.session_id).is_some_and(|until| *until > now);
        ended
            || self.users.get(&claims.sub).is_some_and(|cut_offs| {
                cut_offs.entries(claims.sub).any(|entry| entry.refuses(claims, now))
            })
    }

    /// Whether the list has this fact about a session at `now`.
    #[must_use]
    pub fn has_fact(&self, fact: SessionFact, session: Uuid, now: Timestamp) -> bool {
        self.facts.get(&fact.key(session)).is_some_and(|until| *until > now)
    }

    /// Whether the list has this entry, so that adding it would change nothing.
    pub(crate) fn contains(&self, entry: &RevocationEntry) -> bool {
        match *entry {
            RevocationEntry::Session { session, until } => {
                self.map_of(session).get(&session).is_some_and(|known| *known >= until)
            }
            RevocationEntry::CutOff { user, spared, before, until } => {
                self.users.get(&user).is_some_and(|known| {
                    let mut folded = *known;
                    folded.fold(spared, CutOff { before, until });
                    folded == *known
                })
            }
        }
    }

    /// All entries, in no particular order. The caller must not insert an entry during the iteration: that
    /// would deadlock.
    pub(crate) fn entries(&self) -> impl Iterator<Item = RevocationEntry> {
        let sessions = self.sessions.iter().chain(self.facts.iter());
        let sessions =
            sessions.map(|line| RevocationEntry::Session { session: *line.key(), until: *line });
        let users =
            self.users.iter().flat_map(|line| line.entries(*line.key()).collect::<Vec<_>>());
        sessions.chain(users)
    }

    /// Removes the entries that no unexpired token can match at `now`.
    pub(crate) fn purge_expired(&self, now: Timestamp) {
        self.sessions.retain(|_, until| *until > now);
        self.facts.retain(|_, until| *until > now);
        self.users.retain(|_, cut_offs| {
            cut_offs.purge_expired(now);
            !cut_offs.is_empty()
        });
    }

    /// The number of ended sessions and cut-offs, without the facts.
    #[must_use]
    pub fn count(&self) -> usize {
        self.sessions.len() + self.users.iter().map(|cut_offs| cut_offs.len()).sum::<usize>()
    }
}

#[cfg(test)]
mod tests;
