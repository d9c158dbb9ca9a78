//! How much the queue holds at most.
//!
//! No client fills it alone: what one user has in it is bounded, and so is the share of stale sessions,
//! whose tokens may come from an old log.

/// What the queue holds at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Entries.
    pub entries: u64,
    /// Bytes of all records: `GATEWAY_QUEUE_MAX_BYTES`.
    pub bytes: u64,
    /// Sessions of one user.
    pub sessions_of_user: u64,
}

/// Entries of one store.
pub const MOST_ENTRIES: u64 = 100_000;
/// Sessions of one user in one store.
pub const MOST_SESSIONS_OF_USER: u64 = 64;
/// Stale sessions take one part of so many.
pub const STALE_PART: u64 = 4;

/// How full the queue would be with an entry that is to be added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fill {
    /// Entries.
    pub entries: u64,
    /// Bytes of their records.
    pub bytes: u64,
    /// Entries of stale sessions.
    pub stale_entries: u64,
    /// Bytes of their records.
    pub stale_bytes: u64,
    /// Sessions of the entry's user.
    pub sessions_of_user: u64,
}

/// Why an entry is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueFullError {
    /// [`Bounds::entries`] or [`Bounds::bytes`].
    #[error("the queue is full")]
    Full,
    /// The share of stale sessions.
    #[error("the queue is full of stale sessions")]
    Stale,
    /// [`Bounds::sessions_of_user`].
    #[error("the queue holds the most sessions that one user may have in it")]
    User,
}

impl Bounds {
    /// The bounds with so many bytes.
    #[must_use]
    pub fn of_bytes(bytes: u64) -> Self {
        Self { entries: MOST_ENTRIES, bytes, sessions_of_user: MOST_SESSIONS_OF_USER }
    }

    /// Judges what the queue would hold with one more entry, or a longer one.
    ///
    /// # Errors
    /// [`QueueFullError`].
    pub fn admit(&self, with: &Fill, stale: bool) -> Result<(), QueueFullError> {
        let Self { entries, bytes, sessions_of_user } = *self;
        if with.sessions_of_user > sessions_of_user {
            return Err(QueueFullError::User);
        }
        if with.entries > entries || with.bytes > bytes {
            return Err(QueueFullError::Full);
        }
        let over =
            with.stale_entries > entries / STALE_PART || with.stale_bytes > bytes / STALE_PART;
        if stale && over { Err(QueueFullError::Stale) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const BOUNDS: Bounds = Bounds { entries: 8, bytes: 80, sessions_of_user: 2 };

    #[rstest]
    #[case::all(Fill { entries: 8, bytes: 80, sessions_of_user: 2, ..Fill::default() }, false, Ok(()))]
    #[case::entries(Fill { entries: 9, ..Fill::default() }, false, Err(QueueFullError::Full))]
    #[case::bytes(Fill { bytes: 81, ..Fill::default() }, false, Err(QueueFullError::Full))]
    #[case::user(
        Fill { sessions_of_user: 3, ..Fill::default() },
        false,
        Err(QueueFullError::User)
    )]
    #[case::stale_share(Fill { stale_entries: 2, stale_bytes: 20, ..Fill::default() }, true, Ok(()))]
    #[case::stale_entries(
        Fill { stale_entries: 3, ..Fill::default() },
        true,
        Err(QueueFullError::Stale)
    )]
    #[case::stale_bytes(Fill { stale_bytes: 21, ..Fill::default() }, true, Err(QueueFullError::Stale))]
    #[case::proven_beside_many_stale(Fill { stale_entries: 3, ..Fill::default() }, false, Ok(()))]
    fn each_bound_counts(
        #[case] with: Fill,
        #[case] stale: bool,
        #[case] admitted: Result<(), QueueFullError>,
    ) {
        assert_eq!(BOUNDS.admit(&with, stale), admitted);
    }
}
