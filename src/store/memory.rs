//! The revocation list in this process's memory: nothing survives a restart.
//!
//! A sharded map for each of sessions and users, so that readers of different sessions do not meet.

use dashmap::DashMap;
use uuid::Uuid;

use super::Revocation;
use crate::{config::Scope, session::token::Claims};

/// The list.
#[derive(Debug, Default)]
pub struct MemoryStore {
    /// Ended sessions, each until when.
    sessions: DashMap<Uuid, i64>,
    /// What was ended for whole users; few entries each.
    users: DashMap<Uuid, Vec<CutOff>>,
}

#[derive(Debug)]
struct CutOff {
    before: i64,
    /// The session that stays: the one that asked for `others`.
    spared: Option<Uuid>,
    until: i64,
}

impl MemoryStore {
    /// Enters a logout.
    pub fn revoke(&self, revocation: &Revocation) {
        let Revocation { user, session, scope, cut_off, until } = *revocation;
        if scope != Scope::Others {
            let mut entry = self.sessions.entry(session).or_insert(until);
            *entry = (*entry).max(until);
        }
        if scope != Scope::Local {
            let spared = (scope == Scope::Others).then_some(session);
            let mut cut_offs = self.users.entry(user).or_default();
            match cut_offs.iter_mut().find(|c| c.spared == spared) {
                Some(known) => {
                    known.before = known.before.max(cut_off);
                    known.until = known.until.max(until);
                }
                None => cut_offs.push(CutOff { before: cut_off, spared, until }),
            }
        }
    }

    /// Whether a token is on the list at `now`, seconds since the Unix epoch. A token without `iat`
    /// counts as older than any cut-off; one of the cut-off's own second is not before it.
    #[must_use]
    pub fn is_revoked(&self, claims: &Claims, now: i64) -> bool {
        let ended = self.sessions.get(&claims.session_id).is_some_and(|until| *until > now);
        ended
            || self.users.get(&claims.sub).is_some_and(|cut_offs| {
                cut_offs.iter().any(|c| {
                    c.until > now
                        && c.spared != Some(claims.session_id)
                        && claims.iat.is_none_or(|iat| iat < c.before)
                })
            })
    }

    /// Forgets what no living token can match at `now`, seconds since the Unix epoch.
    pub fn forget_outlived(&self, now: i64) {
        self.sessions.retain(|_, until| *until > now);
        self.users.retain(|_, cut_offs| {
            cut_offs.retain(|c| c.until > now);
            !cut_offs.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    const NOW: i64 = 1_000_000;
    const DAY: Duration = Duration::from_hours(24);

    fn token(user: u128, session: u128, iat: i64) -> Claims {
        Claims {
            sub: Uuid::from_u128(user),
            session_id: Uuid::from_u128(session),
            exp: iat + 3600,
            iat: Some(iat),
            nbf: None,
            role: None,
            aal: None,
        }
    }

    fn logged_out(claims: &Claims, scope: Scope) -> MemoryStore {
        let store = MemoryStore::default();
        let date = UNIX_EPOCH + Duration::from_secs(u64::try_from(NOW).unwrap());
        store.revoke(&Revocation::new(claims, scope, date, NOW, DAY));
        store
    }

    #[test]
    fn local_ends_this_session_alone() {
        let store = logged_out(&token(1, 1, NOW - 10), Scope::Local);
        assert!(store.is_revoked(&token(1, 1, NOW - 10), NOW));
        assert!(store.is_revoked(&token(1, 1, NOW + 10), NOW), "a token refreshed from it");
        assert!(!store.is_revoked(&token(1, 2, NOW - 10), NOW));
    }

    #[test]
    fn global_ends_every_session_of_the_user_but_no_new_sign_in() {
        let store = logged_out(&token(1, 1, NOW - 10), Scope::Global);
        assert!(store.is_revoked(&token(1, 1, NOW - 10), NOW));
        assert!(store.is_revoked(&token(1, 2, NOW - 1), NOW));
        assert!(!store.is_revoked(&token(1, 3, NOW), NOW), "issued in the cut-off's own second");
        assert!(!store.is_revoked(&token(2, 4, NOW - 10), NOW), "of another user");
    }

    #[test]
    fn others_spares_the_session_that_asked() {
        let store = logged_out(&token(1, 1, NOW - 10), Scope::Others);
        assert!(!store.is_revoked(&token(1, 1, NOW - 10), NOW));
        assert!(store.is_revoked(&token(1, 2, NOW - 1), NOW));
        let undated = Claims { iat: None, ..token(1, 2, NOW) };
        assert!(store.is_revoked(&undated, NOW), "nobody knows when it was issued");
    }

    #[test]
    fn others_asked_twice_from_different_sessions_ends_the_first_asker_too() {
        let store = logged_out(&token(1, 1, NOW - 10), Scope::Others);
        let date = UNIX_EPOCH + Duration::from_secs(u64::try_from(NOW + 5).unwrap());
        store.revoke(&Revocation::new(&token(1, 2, NOW + 1), Scope::Others, date, NOW + 5, DAY));
        assert!(store.is_revoked(&token(1, 1, NOW - 10), NOW + 5));
        assert!(!store.is_revoked(&token(1, 2, NOW + 1), NOW + 5));
    }

    #[test]
    fn an_entry_lives_as_long_as_the_longest_token_it_can_match() {
        let long_lived = Claims { exp: NOW + 30 * 86_400, ..token(1, 1, NOW) };
        let store = logged_out(&long_lived, Scope::Local);
        store.forget_outlived(NOW + 29 * 86_400);
        assert!(store.is_revoked(&long_lived, NOW + 29 * 86_400));

        let store = logged_out(&token(1, 1, NOW), Scope::Global);
        store.forget_outlived(NOW + 86_399);
        assert!(store.is_revoked(&token(1, 1, NOW - 1), NOW + 86_399));
        store.forget_outlived(NOW + 86_400);
        assert!(store.sessions.is_empty() && store.users.is_empty());
    }
}
