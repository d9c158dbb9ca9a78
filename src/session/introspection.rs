//! What GoTrue says of a token that no key here can judge: `GET /user`, in the sense of RFC 7662.
//!
//! 1. An answer is cached for 10 s. The cache holds digests, so that a token's size does not matter.
//! 2. There is one call at a time for each token: requests that bring the same token wait for it.

use std::time::Duration;

use quick_cache::sync::Cache;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::token::{TokenDigest, token_digest};
use crate::gotrue::{Deadline, GoTrue, OnBehalfOf, Refusal};

const CACHED_FOR: Duration = Duration::from_secs(10);
const CACHED_TOKENS: usize = 8192;

/// GoTrue's answer about a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Introspection {
    /// Genuine, and its session lives.
    Live,
    /// Genuine, and its session is gone: GoTrue verifies the signature before it looks for the session.
    Ended,
    /// Genuine, of a banned user.
    Banned,
    /// Not genuine.
    Forged,
}

/// GoTrue's answers of the last 10 s, for all threads.
#[derive(Debug)]
pub struct IntrospectionCache {
    answers: Cache<TokenDigest, (Introspection, Instant)>,
}

impl Default for IntrospectionCache {
    fn default() -> Self {
        Self { answers: Cache::new(CACHED_TOKENS) }
    }
}

impl IntrospectionCache {
    /// GoTrue's answer about `token`, if it was asked in the last 10 s.
    #[must_use]
    pub fn get(&self, token: &str) -> Option<Introspection> {
        let (answer, asked_at) = self.answers.get(&token_digest(token))?;
        is_fresh(asked_at).then_some(answer)
    }

    /// GoTrue's answer about `token`: cached, of a call that another request began, or of `call`.
    ///
    /// # Errors
    /// What `call` says, where GoTrue could not answer; [`Refusal::Timeout`] at the deadline.
    pub async fn get_or_call<E: From<Refusal>>(
        &self,
        token: &str,
        deadline: Deadline,
        call: impl Future<Output = Result<Introspection, E>>,
    ) -> Result<Introspection, E> {
        let key = token_digest(token);
        self.answers.remove_if(&key, |(_, asked_at)| !is_fresh(*asked_at));
        let call = async { Ok((call.await?, Instant::now())) };
        // Where the call of another request fails, the next one that waits calls.
        match timeout_at(deadline, self.answers.get_or_insert_async(&key, call)).await {
            Ok(answered) => answered.map(|(answer, _)| answer),
            Err(_) => Err(Refusal::Timeout.into()),
        }
    }
}

fn is_fresh(asked_at: Instant) -> bool {
    asked_at.elapsed() < CACHED_FOR
}

/// Asks GoTrue about `token`, which names `user`.
///
/// # Errors
/// The refusal that says nothing about the token: GoTrue is down, slow or rate-limiting.
pub async fn introspect(
    token: &str,
    user: Uuid,
    gotrue: &GoTrue,
    caller: &OnBehalfOf,
    deadline: Deadline,
) -> Result<Introspection, Refusal> {
    match gotrue.user(token, user, caller, deadline).await {
        Ok(()) => Ok(Introspection::Live),
        Err(Refusal::SessionNotFound | Refusal::UserNotFound) => Ok(Introspection::Ended),
        Err(Refusal::UserBanned) => Ok(Introspection::Banned),
        Err(Refusal::BadJwt) => Ok(Introspection::Forged),
        Err(refusal) => Err(refusal),
    }
}
