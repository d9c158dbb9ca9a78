//! The audit log: one line for each logout, with the target `audit`. No line has a secret.
//!
//! 1. The lines of proven and stale sessions have a buffer of their own, so that a flood of other lines does
//!    not displace them.
//! 2. Another buffer takes the lines of refusals (any 4xx of the gateway itself), of unproven sessions, and
//!    of logouts without a request to GoTrue: at most 100 lines a second. Then one line a second has the
//!    number of the lines that were left out. Metrics count all logouts.

use std::time::{self, Duration};

use axum::{http::StatusCode, response::Response};
use tokio::time::Instant;
use tracing::Span;
use uuid::Uuid;

use super::{
    contract::Contract,
    response::{FinishedSession, LogoutResponse},
};
use crate::{
    http::{client_addr::ClientIp, context::RequestContext, error::Error, state::AppState},
    outcome::{Outcome, Reason, RecordedOutcome, Route, Scope, Stored},
    session::{Proof, Session},
    store::failure::Failure,
    telemetry::{
        log_buffers::{AUDIT_OF_REFUSALS, AUDIT_OF_SESSIONS},
        metrics::Metrics,
    },
};

/// A macro, because each of the two classes needs an event of its own: `telemetry::log_buffers` chooses the
/// buffer by the event's name.
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

/// The fields of an audit line. The line leaves out those that are `None`.
#[derive(Debug)]
pub(super) struct Line<'r> {
    /// `X-Request-Id`: the same in the response, at GoTrue and in the failure log.
    pub(super) request_id: &'r str,
    /// The path of one of the three contracts.
    pub(super) route: Route,
    /// The scope; `None` if the request was refused before the gateway used it.
    pub(super) scope: Option<Scope>,
    /// The outcome; `refused` for a 4xx and a 503 of the gateway.
    pub(super) outcome: Outcome,
    /// The envelope's reason, or its code if the envelope has no reason. For a queued logout, the reason why
    /// it is queued.
    pub(super) reason: Option<Reason>,
    /// The rule that a refused token breaks, in words.
    pub(super) cause: Option<String>,
    /// Whether the response is a 4xx of the gateway itself. A 429 of GoTrue is none: it is a failure.
    pub(super) is_refusal: bool,
    /// How certain it is that the client holds the session; `None` if no session was read.
    pub(super) proof: Option<Proof>,
    /// The user's id; only if the token is genuine or only GoTrue can verify it.
    pub(super) user_id: Option<Uuid>,
    /// The session's id; only if there is a `user_id`.
    pub(super) session_id: Option<Uuid>,
    /// The client's address. Behind trusted proxies it is the address that they forward, and `unknown` if a proxy on
    /// a unix socket forwards none.
    pub(super) client: ClientIp,
    /// The status of GoTrue's answer to the logout, if one came.
    pub(super) upstream_status: Option<u16>,
    /// How long GoTrue took, including a refresh and a second try; `None` without a request to GoTrue.
    pub(super) upstream_time: Option<Duration>,
    /// The time since the head of the request was read.
    pub(super) duration: Duration,
    /// The number of `Set-Cookie` headers that delete a cookie.
    pub(super) cookies_deleted: usize,
}

impl<'r> Line<'r> {
    /// The fields that every logout has.
    pub(super) fn new(
        context: &'r RequestContext,
        contract: Contract,
        begun: Instant,
        outcome: Outcome,
        error: Option<&Error>,
    ) -> Self {
        Self {
            request_id: context.request_id(),
            route: contract.route(),
            scope: None,
            outcome,
            reason: error.map(Error::reason),
            cause: error.and_then(Error::cause),
            is_refusal: error.is_some_and(|error| {
                let status = error.status();
                status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS
            }),
            proof: None,
            user_id: None,
            session_id: None,
            client: context.client.ip,
            upstream_status: None,
            upstream_time: None,
            duration: begun.elapsed(),
            cookies_deleted: 0,
        }
    }

    /// Adds the fields that describe `session` to `line`.
    fn of_session(line: Self, session: Option<&FinishedSession>) -> Self {
        let Some(FinishedSession { session, report, .. }) = session else { return line };
        let report = report.as_ref();
        Self {
            proof: Some(report.map_or(session.proof, |report| report.proof)),
            user_id: Some(session.claims.sub),
            session_id: Some(session.claims.session_id),
            upstream_status: report.and_then(|report| report.upstream_status),
            upstream_time: report.and_then(|report| report.upstream_time),
            ..line
        }
    }

    /// The record for the failure log, if the session may still live. Unproven sessions leave no lasting record.
    fn failure(&self, cause: &Error, app: &AppState) -> Option<Failure> {
        let code = match self.outcome {
            Outcome::Failed => Some(cause.code().to_owned()),
            // The client got a 202 without an error code.
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

    /// Whether the line belongs in the buffer of proven and stale sessions. The line of a repeated logout of
    /// an ended session does not: such a logout gets an answer without a request to GoTrue, or a 401, as fast
    /// as the client sends it.
    fn is_of_a_session(&self) -> bool {
        let known = matches!(self.proof, Some(Proof::Proven | Proof::Stale));
        let is_refusal = self.is_refusal || self.outcome == Outcome::Refused;
        known && !is_refusal && self.upstream_time.is_some()
    }

    /// Counts the logout in the metrics, and writes its audit line.
    pub(super) fn write(self, metrics: &Metrics) {
        let Self { route, outcome, reason, duration, cookies_deleted, .. } = self;
        metrics.logout(route, (outcome, reason), duration, cookies_deleted);
        Span::current()
            .record("outcome", outcome.as_str())
            .record("reason", reason.map(Reason::as_str));
        self.log(metrics);
    }

    /// Writes the audit line. The buffer of refusals takes 100 lines a second at most; further ones are only
    /// counted.
    fn log(self, metrics: &Metrics) {
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
    /// The scope; `None` if the request was refused before the gateway used it.
    pub(super) scope: Option<Scope>,
    /// Whether the response reports the first of the sessions. Otherwise it reports none of them.
    pub(super) reports_first: bool,
    /// The sessions of the request. Empty if no session was read, or if the client may not end it.
    pub(super) sessions: Vec<FinishedSession>,
}

impl FinishedLogout {
    pub(super) fn before_session(response: LogoutResponse, scope: Option<Scope>) -> Self {
        Self { response, scope, reports_first: false, sessions: Vec::new() }
    }

    /// A request that was refused after its sessions were read and before the logout began.
    pub(super) fn not_tried(
        response: LogoutResponse,
        scope: Scope,
        sessions: Vec<Session>,
    ) -> Self {
        let (outcome, cause) = (response.outcome, response.cause.clone());
        let not_tried =
            |session| FinishedSession { session, report: None, outcome, cause: cause.clone() };
        let sessions = sessions.into_iter().map(not_tried).collect();
        Self { response, scope: Some(scope), reports_first: true, sessions }
    }

    /// Counts the request, writes an audit line for each session, and records each session that may still live in
    /// the failure log. Returns the response.
    pub(super) fn record(
        self,
        app: &AppState,
        context: &RequestContext,
        contract: Contract,
        begun: Instant,
    ) -> Response {
        let Self { response, scope, reports_first, sessions } = self;
        let LogoutResponse { http, outcome, cause, cookies_deleted } = response;
        let line = |outcome, cause, session| {
            let line = Line { scope, ..Line::new(context, contract, begun, outcome, cause) };
            Line::of_session(line, session)
        };
        let (reported, others) = match sessions.split_first() {
            Some((first, others)) if reports_first => (Some(first), others),
            _ => (None, &*sessions),
        };
        let first = Line { cookies_deleted, ..line(outcome, cause.as_ref(), reported) };
        let first_failure = cause.as_ref().and_then(|cause| first.failure(cause, app));
        first.write(&app.metrics);
        let mut failures = Vec::from_iter(first_failure);
        for session in others {
            let line = line(session.outcome, session.cause.as_ref(), Some(session));
            failures.extend(session.cause.as_ref().and_then(|cause| line.failure(cause, app)));
            line.log(&app.metrics);
        }
        for failure in failures {
            app.failures.record(failure);
        }
        http
    }
}

/// Logs the number of audit lines that were left out since the last call, if there are any. A background task
/// calls it once a second.
pub(crate) fn report_omitted_lines(metrics: &Metrics) {
    let omitted = metrics.refusal_lines.take_omitted();
    if omitted > 0 {
        tracing::warn!(
            name: AUDIT_OF_REFUSALS,
            target: "audit",
            omitted,
            "the log left out audit lines of refused and repeated logouts, more than 100 in one second: \
             logout_gateway_logouts_total counts them all"
        );
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
