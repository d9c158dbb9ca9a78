//! The audit log: one line for each logout, of the target `audit`, and never a secret in it.

use std::{net::IpAddr, time::Duration};

use tokio::time::Instant;
use tracing::Span;
use uuid::Uuid;

use super::reply::Contract;
use crate::{app::frame::Call, config::Scope, error::Error, telemetry::metrics::Metrics};

/// What the line tells; members that are `None` are left out.
#[derive(Debug)]
pub(super) struct Line<'r> {
    /// `X-Request-Id`: the same in the reply, at GoTrue and in the failure log.
    pub(super) request_id: &'r str,
    /// One of the three contracts' paths.
    pub(super) route: &'static str,
    /// Unless the request was refused before it was known.
    pub(super) scope: Option<Scope>,
    /// `revoked`, `already-ended`, `queued`, `failed`, or `refused` for a 4xx and a 503.
    pub(super) outcome: &'static str,
    /// The envelope's reason, or its code where there is none. Of a success that is still to come,
    /// why it is.
    pub(super) reason: Option<&'static str>,
    /// Which rule a token breaks, in words.
    pub(super) cause: Option<String>,
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
        call: &'r Call,
        contract: Contract,
        begun: Instant,
        outcome: &'static str,
        error: Option<&Error>,
    ) -> Self {
        Self {
            request_id: call.request_id(),
            route: contract.path(),
            scope: None,
            outcome,
            reason: error.map(Error::reason),
            cause: match error {
                Some(Error::CredentialInvalid(fault)) => Some(fault.to_string()),
                _ => None,
            },
            user_id: None,
            session_id: None,
            client: call.peer.client,
            upstream_status: None,
            upstream_time: None,
            duration: begun.elapsed(),
            cookies_deleted: 0,
        }
    }

    /// Writes it, and counts the logout.
    pub(super) fn write(self, metrics: &Metrics) {
        let Self { route, outcome, reason, duration, cookies_deleted, .. } = self;
        metrics.logout(route, (outcome, reason), duration, cookies_deleted);
        Span::current().record("outcome", outcome).record("reason", reason);
        tracing::info!(
            target: "audit",
            request_id = self.request_id,
            route,
            scope = self.scope.map(Scope::as_str),
            outcome,
            reason,
            cause = self.cause,
            user_id = self.user_id.map(tracing::field::display),
            session_id = self.session_id.map(tracing::field::display),
            client = %self.client,
            upstream_status = self.upstream_status,
            upstream_ms = self.upstream_time.map(milliseconds),
            duration_ms = milliseconds(duration),
            cookies_deleted,
            "logout"
        );
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
