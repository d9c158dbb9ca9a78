//! The audit log: one line for each logout, of the target `audit`, and never a secret in it.
//!
//! 1. The lines of proven and stale sessions have a buffer of their own: a flood of other lines does not push them
//!    out.
//! 2. Another buffer takes refusals (any 4xx of the gateway itself), unproven sessions, and logouts without a
//!    request to GoTrue: at most 100 lines a second. Beyond that, one line a second has the number of those that
//!    were left out. Metrics count each of them.

use std::{
    net::IpAddr,
    time::{self, Duration},
};

use axum::{http::StatusCode, response::Response};
use tokio::time::Instant;
use tracing::Span;
use uuid::Uuid;

use super::{contract::Contract, response::LogoutResponse};
use crate::{
    http::{context::RequestContext, error::Error, state::AppState},
    logout::LogoutReport,
    outcome::{Outcome, Reason, RecordedOutcome, Route, Scope, Stored},
    session::{Proof, Session},
    store::failure::Failure,
    telemetry::{
        log_buffers::{AUDIT_OF_REFUSALS, AUDIT_OF_SESSIONS},
        metrics::Metrics,
    },
};

/// Each class needs an event of its own: `telemetry::log_buffers` chooses the buffer by the event's name.
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

/// The fields of the line. Those that are `None` are left out.
#[derive(Debug)]
pub(super) struct Line<'r> {
    /// `X-Request-Id`: the same in the reply, at GoTrue and in the failure log.
    pub(super) request_id: &'r str,
    /// One of the three contracts' paths.
    pub(super) route: Route,
    /// `None` where the request was refused before its scope counted.
    pub(super) scope: Option<Scope>,
    /// `refused` for a 4xx and a 503 of the gateway.
    pub(super) outcome: Outcome,
    /// The envelope's reason, or its code where it has none. Of a queued logout, why it is queued.
    pub(super) reason: Option<Reason>,
    /// The rule that the token breaks, in words.
    pub(super) cause: Option<String>,
    /// Whether the reply is a 4xx of the gateway's own: not GoTrue's 429, which is a failure.
    pub(super) is_refusal: bool,
    /// `None` where no session was read.
    pub(super) proof: Option<Proof>,
    /// Only of a token that is genuine, or that only GoTrue can verify.
    pub(super) user_id: Option<Uuid>,
    /// As for `user_id`.
    pub(super) session_id: Option<Uuid>,
    /// Behind trusted proxies, the address that they forward.
    pub(super) client: IpAddr,
    /// The status of GoTrue's answer to the logout, if one came.
    pub(super) upstream_status: Option<u16>,
    /// How long GoTrue took, including a refresh and a second try; `None` without a request to GoTrue.
    pub(super) upstream_time: Option<Duration>,
    /// Since the head of the request.
    pub(super) duration: Duration,
    /// `Set-Cookie` headers that delete.
    pub(super) cookies_deleted: usize,
}

impl<'r> Line<'r> {
    /// The fields that every logout has.
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

    /// The record for the failure log, where the session may live. Unproven sessions leave no lasting record.
    fn failure(&self, cause: &Error, app: &AppState) -> Option<Failure> {
        let code = match self.outcome {
            Outcome::Failed => Some(cause.code().to_owned()),
            // The client got a success.
            Outcome::Queued => None,
            Outcome::Revoked | Outcome::AlreadyEnded | Outcome::Refused => return None,
        };
        if self.proof == Some(Proof::Unproven) {
            return None;
        }
        Some(Failure {
            time: app.logout.clock.now_in_seconds(),
            request_id: self.request_id.to_owned(),
            route: Stored::Known(self.route),
            scope: Stored::Known(self.scope?),
            outcome: Stored::Known(RecordedOutcome::Of(self.outcome)),
            user_id: self.user_id?,
            session_id: self.session_id?,
            code,
            reason: Stored::Known(cause.reason()),
            upstream_status: self.upstream_status,
        })
    }

    /// Whether the line belongs in the buffer that only real logouts fill. A repeated logout of one ended session
    /// does not: it is answered without a request to GoTrue, or with 401, as fast as the client sends it.
    fn is_of_a_session(&self) -> bool {
        let known = matches!(self.proof, Some(Proof::Proven | Proof::Stale));
        let is_refusal = self.is_refusal || self.outcome == Outcome::Refused;
        known && !is_refusal && self.upstream_time.is_some()
    }

    /// Counts the logout, and writes the line unless this second has its 100 lines already.
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

/// A logout whose response is ready.
pub(super) struct FinishedLogout {
    pub(super) response: LogoutResponse,
    /// `None` where the request was refused before its scope counted.
    pub(super) scope: Option<Scope>,
    /// `None` where no session was read, or the client may not end it.
    pub(super) session: Option<Session>,
    /// `None` where GoTrue was not to be asked.
    pub(super) report: Option<LogoutReport>,
}

impl FinishedLogout {
    pub(super) fn before_session(response: LogoutResponse, scope: Option<Scope>) -> Self {
        Self { response, scope, session: None, report: None }
    }

    /// Writes the audit line, and the failure log where the session may live. Gives the response.
    pub(super) fn record(
        self,
        app: &AppState,
        context: &RequestContext,
        contract: Contract,
        begun: Instant,
    ) -> Response {
        let Self { response, scope, session, report } = self;
        let LogoutResponse { http, outcome, cause, cookies_deleted } = response;
        let (session, report) = (session.as_ref(), report.as_ref());
        let line = Line {
            scope,
            proof: report.map(|report| report.proof).or(session.map(|session| session.proof)),
            user_id: session.map(|session| session.claims.sub),
            session_id: session.map(|session| session.claims.session_id),
            upstream_status: report.and_then(|report| report.upstream_status),
            upstream_time: report.and_then(|report| report.upstream_time),
            cookies_deleted,
            ..Line::new(context, contract, begun, outcome, cause.as_ref())
        };
        let failure = cause.as_ref().and_then(|cause| line.failure(cause, app));
        line.write(&app.metrics);
        if let Some(failure) = failure {
            app.failures.record(failure);
        }
        http
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
