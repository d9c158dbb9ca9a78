//! What a logout answers: the contract's success or error, the outcome, and the cookies' end.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use tokio::time::Instant;

use super::{audit::Line, contract::Contract};
use crate::{
    config::{Destination, Scope, SessionNotFound},
    csrf::origin::is_cross_site,
    http::{
        context::RequestContext,
        error::Error,
        headers::{X_LOGOUT_COOKIES_LEFT, X_LOGOUT_OUTCOME},
        state::AppState,
    },
    logout::{LogoutReport, Outcome},
    session::{
        Proof, Session,
        cookies::{
            RequestCookies,
            deletion::{self, Transport},
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
    outcome: Option<&'static str>,
    error: Option<Error>,
    /// Success, but later: 202.
    postponed_by: Option<Error>,
    cookies_go: bool,
}

impl Reply<'_> {
    /// Nothing was revoked, and the cookies stay.
    pub(super) fn refused(&self, error: Error) -> Response {
        self.line("refused", Some(&error)).write(&self.app.metrics);
        error.into_response()
    }

    /// The session is known, and nothing was done for it: it may ask again.
    pub(super) fn refused_session(
        &self,
        session: &Session,
        scope: Scope,
        error: Error,
    ) -> Response {
        let line = self.line("refused", Some(&error));
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
        let line = self.line("refused", Some(error));
        Line { scope: Some(scope), cookies_deleted: deleted, ..line }.write(&self.app.metrics);
        response
    }

    /// GoTrue was asked, or would have been.
    pub(super) fn ended(&self, session: &Session, scope: Scope, ended: &LogoutReport) -> Response {
        let Face { outcome, error, postponed_by, cookies_go } = self.face(&ended.outcome, session);
        let mut response = match &error {
            Some(error) => error.clone().into_response(),
            None => self.contract.success(session.claims.sub),
        };
        if postponed_by.is_some() {
            *response.status_mut() = StatusCode::ACCEPTED;
        }
        if let Some(outcome) = outcome {
            response.headers_mut().insert(X_LOGOUT_OUTCOME, HeaderValue::from_static(outcome));
        }
        let deleted = if cookies_go && scope != Scope::Others {
            self.delete_cookies(&mut response)
        } else {
            0
        };
        let outcome = outcome.unwrap_or("refused");
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
        let is_failure = matches!(outcome, "failed" | "queued") && ended.proof != Proof::Unproven;
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
        outcome: &str,
        (code, cause): (Option<&str>, &Error),
        upstream_status: Option<u16>,
    ) {
        self.app.failures.note(Failure {
            time: self.app.logout.clock.unix_seconds(),
            request_id: self.call.request_id().to_owned(),
            route: self.contract.path().to_owned(),
            scope: scope.as_str().to_owned(),
            outcome: outcome.to_owned(),
            user_id: session.claims.sub,
            session_id: session.claims.session_id,
            code: code.map(str::to_owned),
            reason: cause.reason().to_owned(),
            upstream_status,
        });
    }

    fn face(&self, outcome: &Outcome, session: &Session) -> Face {
        let already_ended = || match self.app.config.logout.session_not_found {
            SessionNotFound::Success => None,
            SessionNotFound::Unauthorized => Some(Error::SessionNotFound),
        };
        let by_cookie = session.carrier == crate::session::Carrier::Cookie;
        let (outcome, error, cookies_go) = match outcome {
            Outcome::Revoked => (Some("revoked"), None, true),
            Outcome::AlreadyEnded => (Some("already-ended"), already_ended(), true),
            Outcome::OthersLiveOn => (Some("failed"), Some(Error::SessionNotFound), true),
            Outcome::Queued(refusal) => {
                let postponed_by = Some(refusal.clone().into());
                let outcome = Some("queued");
                return Face { outcome, error: None, postponed_by, cookies_go: true };
            }
            Outcome::Failed(refusal) => (Some("failed"), Some(refusal.clone().into()), true),
            // A Bearer speaks of no cookie.
            Outcome::NotGenuine(fault) => (None, Some(Error::CredentialInvalid(*fault)), by_cookie),
            Outcome::Expired => (None, Some(Error::CredentialExpired), by_cookie),
        };
        Face { outcome, error, postponed_by: None, cookies_go }
    }

    /// Answers how many `Set-Cookie` lines it wrote.
    fn delete_cookies(&self, response: &mut Response) -> usize {
        let transport =
            Transport { https: self.call.client.is_https, cross_site: is_cross_site(self.headers) };
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
        if let Some(types) = &self.app.config.logout.clear_site_data {
            headers.insert(CLEAR_SITE_DATA, types.clone());
        }
        deleted
    }

    fn line(&self, outcome: &'static str, error: Option<&Error>) -> Line<'_> {
        Line::new(self.call, self.contract, self.begun, outcome, error)
    }
}
