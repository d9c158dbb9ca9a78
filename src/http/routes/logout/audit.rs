//! The audit log: one line for each logout, of the target `audit`, and never a secret in it.
//!
//! 1. The lines of proven and stale sessions have a buffer of their own: no flood of other lines drops
//!    them.
//! 2. Refusals (any 4xx of the gateway's own), unproven sessions and logouts that GoTrue was not asked about have another, and at most 100
//!    lines a second. Beyond that one line a second has the number of those that were left out. Metrics
//!    count each of them.

use std::{
    net::IpAddr,
    time::{self, Duration},
};

use axum::http::StatusCode;
use tokio::time::Instant;
use tracing::Span;
use uuid::Uuid;

use super::contract::Contract;
use crate::{
    http::{context::RequestContext, error::Error},
    outcome::{Outcome, Reason, Route, Scope},
    session::Proof,
    telemetry::{
        log_buffers::{AUDIT_OF_REFUSALS, AUDIT_OF_SESSIONS},
        metrics::Metrics,
    },
};

/// Each class needs an event of its own: `telemetry::log_buffers` tells them apart by their names.
macro_rules! audit_line {
    ($name:expr, $line:expr) => {
        tracing::info!(
            name: $name,
            target: "audit",
            request_id = $line.request_id,
            route = $line.route.as_str(),
            scope = $line.scope.map(Scope::as_str),
            outcome = $line.outcome.as_str(),
            reason = $line.reason.map(Reason::as_str),
            cause = $line.cause,
            proven = $line.proof.map(|proof| proof == Proof::Proven),
            user_id = $line.user_id.map(tracing::field::display),
            session_id = $line.session_id.map(tracing::field::display),
            client = %$line.client,
            upstream_status = $line.upstream_status,
            upstream_ms = $line.upstream_time.map(milliseconds),
            duration_ms = milliseconds($line.duration),
            cookies_deleted = $line.cookies_deleted,
            "logout"
        )
    };
}

/// What the line tells; members that are `None` are left out.
#[derive(Debug)]
pub(super) struct Line<'r> {
    /// `X-Request-Id`: the same in the reply, at GoTrue and in the failure log.
    pub(super) request_id: &'r str,
    /// One of the three contracts' paths.
    pub(super) route: Route,
    /// Unless the request was refused before it was known.
    pub(super) scope: Option<Scope>,
    /// `revoked`, `already-ended`, `queued`, `failed`, or `refused` for a 4xx and a 503.
    pub(super) outcome: Outcome,
    /// The envelope's reason, or its code where there is none. Of a success that is still to come,
    /// why it is.
    pub(super) reason: Option<Reason>,
    /// Which rule a token breaks, in words.
    pub(super) cause: Option<String>,
    /// Whether the reply is a 4xx of the gateway's own: not GoTrue's 429, which is a failure.
    pub(super) is_refusal: bool,
    /// How far the session was known when it was read; `None` where none was read.
    pub(super) proof: Option<Proof>,
    /// Only of a token that was judged genuine, or is GoTrue's to judge.
    pub(super) user_id: Option<Uuid>,
    /// The same.
    pub(super) session_id: Option<Uuid>,
    /// Behind trusted proxies, the address that they tell.
    pub(super) client: IpAddr,
    /// Of GoTrue's answer to the logout, if it came.
    pub(super) upstream_status: Option<u16>,
    /// How long GoTrue took, a refresh and a second try included, if it was asked.
    pub(super) upstream_time: Option<Duration>,
    /// From the head of the request.
    pub(super) duration: Duration,
    /// `Set-Cookie` lines that delete.
    pub(super) cookies_deleted: usize,
}

impl<'r> Line<'r> {
    /// What is known of every logout.
    pub(super) fn new(
        call: &'r RequestContext,
        contract: Contract,
        begun: Instant,
        outcome: Outcome,
        error: Option<&Error>,
    ) -> Self {
        Self {
            request_id: call.request_id(),
            route: contract.route(),
            scope: None,
            outcome,
            reason: error.map(Error::reason),
            cause: match error {
                Some(Error::CredentialInvalid(fault)) => Some(fault.to_string()),
                _ => None,
            },
            is_refusal: error.is_some_and(|error| {
                let status = error.status();
                status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS
            }),
            proof: None,
            user_id: None,
            session_id: None,
            client: call.client.ip,
            upstream_status: None,
            upstream_time: None,
            duration: begun.elapsed(),
            cookies_deleted: 0,
        }
    }

    /// Whether the line belongs in the buffer that strangers cannot fill, nor one user with one ended session:
    /// its repeated logout is answered without a call to GoTrue, or with 401, as fast as it is asked for.
    fn is_of_a_session(&self) -> bool {
        let known = matches!(self.proof, Some(Proof::Proven | Proof::Stale));
        let is_refusal = self.is_refusal || self.outcome == Outcome::Refused;
        known && !is_refusal && self.upstream_time.is_some()
    }

    /// Counts the logout, and writes the line unless it is one too many in this second.
    pub(super) fn write(self, metrics: &Metrics) {
        let Self { route, outcome, reason, duration, cookies_deleted, .. } = self;
        metrics.logout(route, (outcome, reason), duration, cookies_deleted);
        Span::current()
            .record("outcome", outcome.as_str())
            .record("reason", reason.map(Reason::as_str));
        if self.is_of_a_session() {
            audit_line!(AUDIT_OF_SESSIONS, self);
        } else if metrics.refusal_lines.admits(time::Instant::now()) {
            audit_line!(AUDIT_OF_REFUSALS, self);
        }
    }
}

/// Logs how many audit lines were left out since the last call, if any were. To be called once a second.
pub(crate) fn report_omitted_lines(metrics: &Metrics) {
    let omitted = metrics.refusal_lines.take_omitted();
    if omitted > 0 {
        tracing::warn!(
            name: AUDIT_OF_REFUSALS,
            target: "audit",
            omitted,
            "audit lines of refused and repeated logouts were left out of the log: more than 100 in one \
             second; logout_gateway_logouts_total counts them all"
        );
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
