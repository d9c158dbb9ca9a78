//! Asks GoTrue about a token that the gateway cannot verify: token introspection (RFC 7662) by `GET /user`.
//!
//! 1. An answer is cached for 10 s. The cache holds digests of tokens, so a large token takes no more memory
//!    than a small one.
//! 2. At most one call for each token is under way: other requests with the same token wait for its answer.

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
    /// GoTrue accepts the token, and its session lives.
    Live,
    /// The token is genuine, but its session has ended: GoTrue verifies the signature before it looks for the
    /// session.
    Ended,
    /// The token is genuine, but its user is banned.
    Banned,
    /// GoTrue does not accept the token: its signature does not verify.
    Forged,
}

/// GoTrue's answers of the last 10 s, shared by all threads.
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
    /// The cached answer about `token`, if it is less than 10 s old.
    #[must_use]
    pub fn get(&self, token: &str) -> Option<Introspection> {
        let (answer, asked_at) = self.answers.get(&token_digest(token))?;
        is_fresh(asked_at).then_some(answer)
    }

    /// GoTrue's answer about `token`: from the cache, from the call of another request, or from `call`.
    ///
    /// # Errors
    /// The error of `call`, or [`Refusal::Timeout`] if the deadline passes first.
    pub async fn get_or_call<E: From<Refusal>>(
        &self,
        token: &str,
        deadline: Deadline,
        call: impl Future<Output = Result<Introspection, E>>,
    ) -> Result<Introspection, E> {
        let key = token_digest(token);
        self.answers.remove_if(&key, |(_, asked_at)| !is_fresh(*asked_at));
        let call = async { Ok((call.await?, Instant::now())) };
        // If the call of another request fails, the next waiting request makes its own.
        match timeout_at(deadline, self.answers.get_or_insert_async(&key, call)).await {
            Ok(answered) => answered.map(|(answer, _)| answer),
            Err(_) => Err(Refusal::Timeout.into()),
        }
    }
}

fn is_fresh(asked_at: Instant) -> bool {
    asked_at.elapsed() < CACHED_FOR
}

/// Asks GoTrue whether the session of `token` lives. `user` is the user that the token names.
///
/// # Errors
/// A refusal that says nothing about the token: GoTrue is down, slow or rate-limiting.
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
