//! Warnings about the configuration and the clocks, which the gateway finds wrong when it reads the tokens of requests.

use std::{
    sync::{Mutex, OnceLock, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::session::token::{Claim, ClaimMismatch, Claims};

const WARNING_INTERVAL: Duration = Duration::from_mins(1);

/// Warns of a clock that differs from GoTrue's, at most once a minute.
pub(super) fn warn_of_clock(claims: &Claims, now: i64) {
    static WARNED_AT: Mutex<Option<Instant>> = Mutex::new(None);
    let mut warned_at = WARNED_AT.lock().unwrap_or_else(PoisonError::into_inner);
    if warned_at.is_some_and(|at| at.elapsed() < WARNING_INTERVAL) {
        return;
    }
    *warned_at = Some(Instant::now());
    let seconds_ahead = claims.iat.map(|iat| iat.saturating_sub(now));
    tracing::warn!(
        seconds_ahead,
        "the claim iat of an access token is ahead of the gateway's clock; the gateway accepts such a token, as GoTrue does, \
         but compares iat and exp with its own clock: set the clocks of both machines"
    );
}

/// Warns of tokens that only GoTrue can verify.
pub(super) fn warn_of_hs256() {
    tracing::warn!(
        variable = "SUPABASE_JWT_SECRET",
        "the gateway has no JWT secret and received a token signed with HS256: it asks GoTrue about each such \
         token; while GoTrue does not answer, their logouts are neither queued nor put on the revocation list, \
         and verify answers 503; set the variable if your project signs with HS256"
    );
}

/// Warns once about `iss` and once about `aud` if the configuration does not accept that claim of a genuine
/// token.
#[derive(Debug, Default)]
pub(super) struct ClaimWarnings {
    issuer: OnceLock<()>,
    audience: OnceLock<()>,
}

impl ClaimWarnings {
    pub(super) fn warn(&self, mismatch: &ClaimMismatch) {
        let warned = match mismatch.claim {
            Claim::Issuer => &self.issuer,
            Claim::Audience => &self.audience,
        };
        warned.get_or_init(|| tracing::warn!(variable = mismatch.claim.variable(), "{mismatch}"));
    }
}
