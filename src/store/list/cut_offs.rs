//! The cut-offs of one user, folded into two at most.
//!
//! A cut-off refuses the tokens that were issued at or before it, except those of the session that it spares.
//! If two cut-offs spare different sessions, the later one refuses the session that the earlier one spares,
//! so it makes no difference if the earlier one spares none. Therefore one cut-off that spares no session and
//! a later one that spares a session refuse exactly the same tokens as any number of cut-offs, in any order.

use std::mem;

use jiff::Timestamp;
use uuid::Uuid;

use super::RevocationEntry;

/// A point in time up to which tokens are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CutOff {
    /// Tokens issued at or before this time are refused.
    pub(crate) before: Timestamp,
    /// When the last token that the cut-off can match has expired.
    pub(crate) until: Timestamp,
}

impl CutOff {
    fn merge(&mut self, other: Self) {
        self.before = self.before.max(other.before);
        self.until = self.until.max(other.until);
    }
}

/// All cut-offs of one user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UserCutOffs {
    /// The cut-off that spares no session.
    everyone: Option<CutOff>,
    /// The session that the other cut-off spares, and that cut-off, which is later than `everyone`.
    others: Option<(Uuid, CutOff)>,
}

impl UserCutOffs {
    /// Adds a cut-off, and keeps two at most.
    pub(crate) fn fold(&mut self, spared: Option<Uuid>, added: CutOff) {
        match (spared, &mut self.others) {
            (None, _) => merge(&mut self.everyone, added),
            (Some(session), None) => self.others = Some((session, added)),
            (Some(session), Some((known, cut_off))) if *known == session => cut_off.merge(added),
            (Some(session), Some(known)) => {
                let earlier = if known.1.before <= added.before {
                    mem::replace(known, (session, added)).1
                } else {
                    added
                };
                merge(&mut self.everyone, earlier);
            }
        }
        // A cut-off that is not later than `everyone` refuses no token that `everyone` does not refuse: drop
        // it.
        if let (Some(everyone), Some((_, others))) = (&mut self.everyone, self.others)
            && others.before <= everyone.before
        {
            everyone.merge(others);
            self.others = None;
        }
    }

    /// The cut-offs as entries of the list.
    pub(crate) fn entries(&self, user: Uuid) -> impl Iterator<Item = RevocationEntry> + use<> {
        let everyone = self.everyone.map(|cut_off| (None, cut_off));
        let others = self.others.map(|(session, cut_off)| (Some(session), cut_off));
        everyone.into_iter().chain(others).map(move |(spared, CutOff { before, until })| {
            RevocationEntry::CutOff { user, spared, before, until }
        })
    }

    /// Removes the cut-offs that no unexpired token can match at `now`.
    pub(crate) fn purge_expired(&mut self, now: Timestamp) {
        self.everyone = self.everyone.filter(|cut_off| cut_off.until > now);
        self.others = self.others.filter(|(_, cut_off)| cut_off.until > now);
    }

    /// The number of cut-offs, two at most.
    pub(crate) fn len(&self) -> usize {
        usize::from(self.everyone.is_some()) + usize::from(self.others.is_some())
    }

    /// Whether there are no cut-offs.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn merge(known: &mut Option<CutOff>, added: CutOff) {
    match known {
        Some(known) => known.merge(added),
        None => *known = Some(added),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::from_unix_seconds;

    fn cut_off(before: i64, until: i64) -> CutOff {
        CutOff { before: from_unix_seconds(before), until: from_unix_seconds(until) }
    }

    /// Whether any of `cut_offs` refuses a token of `session` issued at `iat`.
    fn refused(cut_offs: &[(Option<Uuid>, i64)], session: Uuid, iat: i64) -> bool {
        cut_offs.iter().any(|(spared, before)| *spared != Some(session) && iat <= *before)
    }

    fn session(number: u8) -> Uuid {
        Uuid::from_u128(u128::from(number) + 1)
    }

    proptest! {
        #[test]
        fn two_say_the_same_as_any_number_in_any_order(
            added in prop::collection::vec((prop::option::of(0..4_u8), 0..20_i64), 0..12),
        ) {
            let all: Vec<_> = added.iter().map(|(s, before)| (s.map(session), *before)).collect();
            let mut folded = UserCutOffs::default();
            for (spared, before) in &all {
                folded.fold(*spared, cut_off(*before, 100));
            }
            let kept: Vec<_> = folded
                .entries(Uuid::nil())
                .filter_map(|entry| match entry {
                    RevocationEntry::CutOff { spared, before, .. } => {
                        Some((spared, before.as_second()))
                    },
                    RevocationEntry::Session { .. } => None,
                })
                .collect();
            prop_assert!(kept.len() <= 2);
            for number in 0..5 {
                for iat in 0..21 {
                    prop_assert_eq!(
                        refused(&kept, session(number), iat),
                        refused(&all, session(number), iat),
                        "session {} at {}: {:?}", number, iat, kept
                    );
                }
            }
        }
    }

    #[test]
    fn folding_a_cut_off_that_refuses_nothing_more_keeps_its_later_expiry() {
        let mut cut_offs = UserCutOffs::default();
        cut_offs.fold(Some(session(1)), cut_off(5, 100));
        cut_offs.fold(None, cut_off(7, 50));
        assert_eq!(cut_offs.everyone, Some(cut_off(7, 100)));
        assert_eq!(cut_offs.others, None);
        cut_offs.purge_expired(from_unix_seconds(99));
        assert!(!cut_offs.is_empty());
        cut_offs.purge_expired(from_unix_seconds(100));
        assert!(cut_offs.is_empty());
    }
}
