//! What GoTrue says of a token that no key here can judge: `GET /user`, remembered for 10 s.

use std::time::Duration;

use quick_cache::sync::Cache;
use tokio::time::Instant;
use uuid::Uuid;

use super::verifier::ByBytes;
use crate::gotrue::{Deadline, GoTrue, OnBehalfOf, Refusal};

const REMEMBERED_FOR: Duration = Duration::from_secs(10);
const REMEMBERED_BYTES: u64 = 1 << 20;
const REMEMBERED_TOKENS: usize = 1024;

/// GoTrue's word on a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Genuine, and its session lives.
    Live,
    /// Genuine: GoTrue verifies the signature before it looks for session and user.
    Ended,
    /// Genuine, of a banned user.
    Banned,
    /// Not genuine.
    Forged,
}

/// Asks GoTrue at most once in 10 s for each token.
#[derive(Debug)]
pub struct Presences {
    remembered: Cache<Box<str>, (Presence, Instant), ByBytes>,
}

impl Default for Presences {
    fn default() -> Self {
        Self { remembered: Cache::with_weighter(REMEMBERED_TOKENS, REMEMBERED_BYTES, ByBytes) }
    }
}

impl Presences {
    /// What GoTrue said of `token` in the last 10 s.
    #[must_use]
    pub fn remembered(&self, token: &str) -> Option<Presence> {
        let (presence, asked_at) = self.remembered.get(token)?;
        (asked_at.elapsed() < REMEMBERED_FOR).then_some(presence)
    }

    /// What GoTrue says of `token`, which names `user`, now.
    ///
    /// # Errors
    /// The refusal that says nothing about the token: GoTrue is down, slow or rate-limiting.
    pub async fn ask(
        &self,
        token: &str,
        user: Uuid,
        gotrue: &GoTrue,
        caller: &OnBehalfOf,
        deadline: Deadline,
    ) -> Result<Presence, Refusal> {
        let presence = match gotrue.user(token, user, caller, deadline).await {
            Ok(()) => Presence::Live,
            Err(Refusal::SessionNotFound | Refusal::UserNotFound) => Presence::Ended,
            Err(Refusal::UserBanned) => Presence::Banned,
            Err(Refusal::BadJwt) => Presence::Forged,
            Err(refusal) => return Err(refusal),
        };
        self.remembered.insert(token.into(), (presence, Instant::now()));
        Ok(presence)
    }
}
