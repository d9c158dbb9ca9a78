//! What a logout answers: the contract's success or error, the outcome, and the cookies' end.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use tokio::time::Instant;

use super::{audit::Line, contract::Contract};
use crate::{
    config::{Destination, SessionNotFound},
    csrf::origin::is_cross_site,
    http::{
        context::RequestContext,
        error::Error,
        headers::{X_LOGOUT_COOKIES_LEFT, X_LOGOUT_OUTCOME},
        state::AppState,
    },
    logout::{LogoutReport, LogoutResult},
    outcome::{Outcome, RecordedOutcome, Scope, Stored},
    session::{
        Proof, Session,
        cookies::{
            RequestCookies,
            deletion::{self, RequestSite},
        },
    },
    store::failure::Failure,
};

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// Answers one request, and writes its line into the audit log.
pub(super) struct Reply<'r> {
    pub(super) app: &'r AppState,
    pub(super) call: &'r RequestContext,
    pub(super) headers: &'r HeaderMap,
    pub(super) cookies: &'r RequestCookies<'r>,
    pub(super) contract: Contract,
    /// Where a form leads.
    pub(super) destination: Option<&'r Destination>,
    pub(super) begun: Instant,
}

/// What a client reads of an [`Outcome`].
struct Face {
    /// `X-Logout-Outcome`, where there is one.
    outcome: Option<Outcome>,
    error: Option<Error>,
    /// Success, but later: 202.
    postponed_by: Option<Error>,
    cookies_go: bool,
}

impl Reply<'_> {
    /// Nothing was revoked, and the cookies stay.
    pub(super) fn refused(&self, error: Error) -> Response {
        self.line(Outcome::Refused, Some(&error)).write(&self.app.metrics);
        error.into_response()
    }

    /// The session is known, and nothing was done for it: it may ask again.
    pub(super) fn refused_session(
        &self,
        session: &Session,
        scope: Scope,
        error: Error,
    ) -> Response {
        let line = self.line(Outcome::Refused, Some(&error));
        let (user_id, session_id) = (Some(session.claims.sub), Some(session.claims.session_id));
        let proof = Some(session.proof);
        Line { scope: Some(scope), proof, user_id, session_id, ..line }.write(&self.app.metrics);
        error.into_response()
    }

    /// Nothing was revoked; cookies that hold no session go, where the request carries any.
    pub(super) fn refused_with_deletions(&self, error: &Error, scope: Scope) -> Response {
        let carried = !self.cookies.is_empty();
        let mut response = error.clone().into_response();
        let deleted =
            if carried && scope != Scope::Others { self.delete_cookies(&mut response) } else { 0 };
        let line = self.line(Outcome::Refused, Some(error));
        Line { scope: Some(scope), cookies_deleted: deleted, ..line }.write(&self.app.metrics);
        response
    }

    /// GoTrue was asked, or would have been.
    pub(super) fn ended(&self, session: &Session, scope: Scope, ended: &LogoutReport) -> Response {
        let Face { outcome, error, postponed_by, cookies_go } = self.face(&ended.result, session);
        let mut response = match &error {
            Some(error) => error.clone().into_response(),
            None => self.contract.success(session.claims.sub),
        };
        if postponed_by.is_some() {
            *response.status_mut() = StatusCode::ACCEPTED;
        }
        if let Some(outcome) = outcome {
            response
                .headers_mut()
                .insert(X_LOGOUT_OUTCOME, HeaderValue::from_static(outcome.as_str()));
        }
        let deleted = if cookies_go && scope != Scope::Others {
            self.delete_cookies(&mut response)
        } else {
            0
        };
        let outcome = outcome.unwrap_or(Outcome::Refused);
        let cause = error.as_ref().or(postponed_by.as_ref());
        let line = Line {
            scope: Some(scope),
            proof: Some(ended.proof),
            user_id: Some(session.claims.sub),
            session_id: Some(session.claims.session_id),
            upstream_status: ended.upstream_status,
            upstream_time: ended.upstream_time,
            cookies_deleted: deleted,
            ..self.line(outcome, cause)
        };
        line.write(&self.app.metrics);
        // Refusals are in the counters and the audit log. Unproven sessions leave no lasting record.
        let is_failure =
            matches!(outcome, Outcome::Failed | Outcome::Queued) && ended.proof != Proof::Unproven;
        if let Some(cause) = cause.filter(|_| is_failure) {
            let code = error.as_ref().map(Error::code);
            self.note_failure(session, scope, outcome, (code, cause), ended.upstream_status);
        }
        response
    }

    /// For the failure log: the session may live.
    fn note_failure(
        &self,
        session: &Session,
        scope: Scope,
        outcome: Outcome,
        (code, cause): (Option<&str>, &Error),
        upstream_status: Option<u16>,
    ) {
        self.app.failures.record(Failure {
            time: self.app.logout.clock.now_in_seconds(),
            request_id: self.call.request_id().to_owned(),
            route: Stored::Known(self.contract.route()),
            scope: Stored::Known(scope),
            outcome: Stored::Known(RecordedOutcome::Of(outcome)),
            user_id: session.claims.sub,
            session_id: session.claims.session_id,
            code: code.map(str::to_owned),
            reason: Stored::Known(cause.reason()),
            upstream_status,
        });
    }

    fn face(&self, result: &LogoutResult, session: &Session) -> Face {
        let already_ended = || match self.app.config.session_not_found {
            SessionNotFound::Success => None,
            SessionNotFound::Unauthorized => Some(Error::SessionNotFound),
        };
        let by_cookie = session.carrier == crate::session::Carrier::Cookie;
        let (outcome, error, cookies_go) = match result {
            LogoutResult::Revoked => (Some(Outcome::Revoked), None, true),
            LogoutResult::AlreadyEnded => (Some(Outcome::AlreadyEnded), already_ended(), true),
            LogoutResult::OthersLiveOn => {
                (Some(Outcome::Failed), Some(Error::SessionNotFound), true)
            }
            LogoutResult::Queued(refusal) => {
                let postponed_by = Some(refusal.clone().into());
                let outcome = Some(Outcome::Queued);
                return Face { outcome, error: None, postponed_by, cookies_go: true };
            }
            LogoutResult::Failed(refusal) => {
                (Some(Outcome::Failed), Some(refusal.clone().into()), true)
            }
            // A Bearer speaks of no cookie.
            LogoutResult::NotGenuine(fault) => {
                (None, Some(Error::CredentialInvalid(*fault)), by_cookie)
            }
            LogoutResult::Expired => (None, Some(Error::CredentialExpired), by_cookie),
        };
        Face { outcome, error, postponed_by: None, cookies_go }
    }

    /// Answers how many `Set-Cookie` lines it wrote.
    fn delete_cookies(&self, response: &mut Response) -> usize {
        let transport = RequestSite {
            is_https: self.call.client.is_https,
            is_cross_site: is_cross_site(self.headers),
        };
        let config = &self.app.config.cookies;
        // In a proxy's buffer they stand beside it; what every logout deletes goes all the same.
        let location = self.destination.map_or(0, |destination| destination.location().len());
        let least = config.least_set_cookie_bytes().min(config.budget);
        let room = config.budget.saturating_sub(location).max(least);
        let plan = deletion::plan(config, room, self.cookies, transport);
        let deleted = plan.set_cookies.len();
        let headers = response.headers_mut();
        for set_cookie in plan.set_cookies {
            headers.append(header::SET_COOKIE, set_cookie);
        }
        if plan.names_left > 0 {
            headers.insert(X_LOGOUT_COOKIES_LEFT, plan.names_left.into());
        }
        if let Some(types) = &self.app.config.clear_site_data {
            headers.insert(CLEAR_SITE_DATA, types.clone());
        }
        deleted
    }

    fn line(&self, outcome: Outcome, error: Option<&Error>) -> Line<'_> {
        Line::new(self.call, self.contract, self.begun, outcome, error)
    }
}
