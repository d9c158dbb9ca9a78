//! The bounds on the size of the queue.
//!
//! The share of each user is bounded, so that no client can fill the queue alone. A session is stale if its
//! access token had expired: such a token may be stolen, for instance from an old log. So entries of stale
//! sessions may use only a part of the whole queue, and only a part of their user's share.

use super::entry::MOST_CREDENTIALS;

/// The largest permitted size of the queue and of one user's share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The largest number of entries in the queue.
    pub entries: u64,
    /// The largest number of bytes of all records: `GATEWAY_QUEUE_MAX_BYTES`.
    pub bytes: u64,
    /// The largest number of one user's sessions that have entries.
    pub sessions_of_user: u64,
    /// The largest number of bytes of one user's records.
    pub bytes_of_user: u64,
}

/// The largest number of entries in one store.
pub const MOST_ENTRIES: u64 = 100_000;
/// The largest number of sessions of one user in one store.
pub const MOST_SESSIONS_OF_USER: u64 = 64;
/// Entries of stale sessions may use a fraction of each bound: one in `STALE_PART`.
pub const STALE_PART: u64 = 4;
/// The records of one user may use a fraction of the queue's bytes: one in `PART_OF_USER`.
const PART_OF_USER: u64 = 64;

/// The size that the queue would have after an entry is added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The whole queue.
    pub(crate) all: Share,
    /// All entries of stale sessions.
    pub(crate) stale: Share,
    /// The entries of the user to whom the added entry belongs.
    pub(crate) of_user: ShareOfUser,
    /// That user's entries of stale sessions.
    pub(crate) stale_of_user: ShareOfUser,
}

/// The size of the queue or of a part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// The number of entries.
    pub(crate) entries: u64,
    /// The bytes of these entries' records.
    pub(crate) bytes: u64,
}

/// How much of the queue one user's logouts occupy. Bounds per user keep one user from filling the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShareOfUser {
    /// The number of the user's sessions that have entries. It is 0 if the added entry's session has an entry
    /// already, so that this bound never refuses it.
    pub(crate) sessions: u64,
    /// The bytes of these entries' records.
    pub(crate) bytes: u64,
}

/// An entry was not added, because it would exceed a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueFullError {
    /// [`Bounds::entries`] or [`Bounds::bytes`] would be exceeded.
    #[error(
        "the queue is full: GoTrue has not confirmed its logouts for a long time; see GATEWAY_QUEUE_MAX_BYTES"
    )]
    Full,
    /// The share of stale sessions in the whole queue would be exceeded.
    #[error("the queue has no room for more sessions whose access token has expired")]
    Stale,
    /// [`Bounds::sessions_of_user`] or [`Bounds::bytes_of_user`] would be exceeded, or the share of the
    /// user's stale sessions in them.
    #[error("this user has as many logouts in the queue as one user may have")]
    User,
}

impl Bounds {
    /// The bounds of a queue of `bytes` bytes. One user may use a fraction of them, but always enough for an
    /// entry whose credentials fill the largest request heads, which have `head_bytes` bytes each.
    #[must_use]
    pub fn new(bytes: u64, head_bytes: usize) -> Self {
        // Base64 encodes three bytes as four. The rest of a record takes less than 1 KiB.
        let sealed = (head_bytes as u64).saturating_mul(4) / 3 + 1024;
        let largest_entry = sealed.saturating_mul(MOST_CREDENTIALS as u64 + 1);
        Self {
            entries: MOST_ENTRIES,
            bytes,
            sessions_of_user: MOST_SESSIONS_OF_USER,
            bytes_of_user: largest_entry.max(bytes / PART_OF_USER),
        }
    }

    /// The bounds for the entries of stale sessions.
    pub(crate) fn of_stale(&self) -> Self {
        Self {
            entries: self.entries / STALE_PART,
            bytes: self.bytes / STALE_PART,
            sessions_of_user: self.sessions_of_user / STALE_PART,
            bytes_of_user: self.bytes_of_user / STALE_PART,
        }
    }

    /// Checks that the queue, with the added entry included in `with`, stays within the bounds. `stale`: the
    /// entry is of a stale session.
    pub(crate) fn admit(&self, with: &Usage, stale: bool) -> Result<(), QueueFullError> {
        let stale_bounds = self.of_stale();
        if !self.hold_of_user(with.of_user)
            || stale && !stale_bounds.hold_of_user(with.stale_of_user)
        {
            Err(QueueFullError::User)
        } else if !self.hold(with.all) {
            Err(QueueFullError::Full)
        } else if stale && !stale_bounds.hold(with.stale) {
            Err(QueueFullError::Stale)
        } else {
            Ok(())
        }
    }

    fn hold(&self, share: Share) -> bool {
        share.entries <= self.entries && share.bytes <= self.bytes
    }

    fn hold_of_user(&self, share: ShareOfUser) -> bool {
        share.sessions <= self.sessions_of_user && share.bytes <= self.bytes_of_user
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const BOUNDS: Bounds = Bounds { entries: 8, bytes: 80, sessions_of_user: 4, bytes_of_user: 40 };
    const NONE: Usage = Usage {
        all: Share { entries: 0, bytes: 0 },
        stale: Share { entries: 0, bytes: 0 },
        of_user: ShareOfUser { sessions: 0, bytes: 0 },
        stale_of_user: ShareOfUser { sessions: 0, bytes: 0 },
    };
    const FULL: Result<(), QueueFullError> = Err(QueueFullError::Full);
    const STALE: Result<(), QueueFullError> = Err(QueueFullError::Stale);
    const USER: Result<(), QueueFullError> = Err(QueueFullError::User);

    fn all(entries: u64, bytes: u64) -> Usage {
        Usage { all: Share { entries, bytes }, ..NONE }
    }

    fn stale(entries: u64, bytes: u64) -> Usage {
        Usage { stale: Share { entries, bytes }, ..NONE }
    }

    fn of_user(sessions: u64, bytes: u64) -> Usage {
        Usage { of_user: ShareOfUser { sessions, bytes }, ..NONE }
    }

    fn stale_of_user(sessions: u64, bytes: u64) -> Usage {
        Usage { stale_of_user: ShareOfUser { sessions, bytes }, ..NONE }
    }

    #[rstest]
    #[case::all(all(8, 80), [Ok(()); 2])]
    #[case::entries(all(9, 0), [FULL; 2])]
    #[case::bytes(all(0, 81), [FULL; 2])]
    #[case::stale(stale(2, 20), [Ok(()); 2])]
    #[case::stale_entries(stale(3, 0), [Ok(()), STALE])]
    #[case::stale_bytes(stale(0, 21), [Ok(()), STALE])]
    #[case::of_user(of_user(4, 40), [Ok(()); 2])]
    #[case::sessions_of_user(of_user(5, 0), [USER; 2])]
    #[case::bytes_of_user(of_user(0, 41), [USER; 2])]
    #[case::stale_of_user(stale_of_user(1, 10), [Ok(()); 2])]
    #[case::stale_sessions_of_user(stale_of_user(2, 0), [Ok(()), USER])]
    #[case::stale_bytes_of_user(stale_of_user(0, 11), [Ok(()), USER])]
    fn an_entry_beyond_a_bound_is_refused(
        #[case] with: Usage,
        #[case] proven_and_stale: [Result<(), QueueFullError>; 2],
    ) {
        assert_eq!([false, true].map(|stale| BOUNDS.admit(&with, stale)), proven_and_stale);
    }

    #[test]
    fn a_user_may_use_a_sixty_fourth_of_the_bytes_but_at_least_an_entry_of_the_largest_heads() {
        assert_eq!(Bounds::new(256 << 20, 128 << 10).bytes_of_user, 4 << 20);
        let small = Bounds::new(1 << 20, 128 << 10).bytes_of_user;
        assert!((512 << 10..1 << 20).contains(&small), "{small}");
    }
}
