//! Makes the response to a logout: status, body and outcome from the report, and the deletions of the
//! cookies.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use uuid::Uuid;

use super::{contract::Contract, jar::EndedSession};
use crate::{
    config::{Config, SessionNotFound},
    csrf::origin::is_cross_site,
    gotrue::Refusal,
    http::{
        context::RequestContext,
        error::Error,
        headers::{X_LOGOUT_COOKIES_LEFT, X_LOGOUT_OUTCOME},
    },
    logout::{LogoutReport, LogoutResult},
    outcome::Outcome,
    session::{
        Carrier, Proof, Session,
        cookies::{
            RequestCookies,
            deletion::{self, RequestSite},
        },
    },
};

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// A response to a logout, and its facts for the audit line.
pub(super) struct LogoutResponse {
    pub(super) http: Response,
    pub(super) outcome: Outcome,
    /// The error of the response, or why a logout was queued.
    pub(super) cause: Option<Error>,
    /// The number of `Set-Cookie` headers that delete a cookie.
    pub(super) cookies_deleted: usize,
}

/// A session of the request, and the result of its logout.
pub(super) struct FinishedSession {
    pub(super) session: Session,
    /// The report of the logout; `None` if the request was refused before the logout began.
    pub(super) report: Option<LogoutReport>,
    pub(super) outcome: Outcome,
    pub(super) cause: Option<Error>,
}

/// The kind of a response.
enum ResponseBody {
    Success,
    /// A 202: the logout is queued, for the reason in the error.
    Accepted(Error),
    Error(Error),
}

impl LogoutResponse {
    /// A response to a request that is refused before the logout begins.
    pub(super) fn refused(error: Error) -> Self {
        let http = error.clone().into_response();
        Self { http, outcome: Outcome::Refused, cause: Some(error), cookies_deleted: 0 }
    }

    /// The response with this outcome and body; `user` is the user of the first session.
    fn new(outcome: Outcome, body: ResponseBody, user: Uuid, contract: Contract) -> Self {
        let cause = body.cause().cloned();
        let mut http = match body {
            ResponseBody::Success => contract.success(user),
            ResponseBody::Accepted(_) => {
                let mut http = contract.success(user);
                *http.status_mut() = StatusCode::ACCEPTED;
                http
            }
            ResponseBody::Error(error) => error.into_response(),
        };
        if outcome != Outcome::Refused {
            let outcome = HeaderValue::from_static(outcome.as_str());
            http.headers_mut().insert(X_LOGOUT_OUTCOME, outcome);
        }
        Self { http, outcome, cause, cookies_deleted: 0 }
    }
}

impl ResponseBody {
    fn cause(&self) -> Option<&Error> {
        match self {
            Self::Success => None,
            Self::Accepted(cause) | Self::Error(cause) => Some(cause),
        }
    }
}

/// Returns the response to the logout of these sessions, whether it deletes the cookies, and the sessions. The response
/// reports the session of the greatest [`Rank`], which is the first of those returned.
pub(super) fn of_sessions(
    ended: Vec<EndedSession>,
    contract: Contract,
    not_found: SessionNotFound,
) -> (LogoutResponse, bool, Vec<FinishedSession>) {
    let user = ended.first().map(|ended| ended.session.claims.sub).unwrap_or_default();
    let mut worst: Option<(Rank, Outcome, ResponseBody, bool)> = None;
    let mut finished = Vec::with_capacity(ended.len());
    for EndedSession { session, report } in ended {
        let (outcome, body, deletes_cookies) = answer(&report.result, session.carrier, not_found);
        let is_certain = report.proof != Proof::Unproven || may_live(&report.result);
        let rank = Rank { is_certain, severity: severity(outcome) };
        let cause = body.cause().cloned();
        finished.push(FinishedSession { session, report: Some(report), outcome, cause });
        if worst.as_ref().is_none_or(|(worst, ..)| rank > *worst) {
            worst = Some((rank, outcome, body, deletes_cookies));
            let last = finished.len() - 1;
            finished.swap(0, last);
        }
    }
    // `ended` is never empty, because a request without a session was refused before.
    let (outcome, body, deletes_cookies) = worst.map_or(
        (Outcome::Failed, ResponseBody::Error(Error::Internal), false),
        |(_, outcome, body, deletes_cookies)| (outcome, body, deletes_cookies),
    );
    (LogoutResponse::new(outcome, body, user, contract), deletes_cookies, finished)
}

/// Whether a session may be alive after its logout, even if the gateway could not verify its access token. A session
/// that GoTrue refused may not exist at all: another site may have planted its cookie.
fn may_live(result: &LogoutResult) -> bool {
    match result {
        LogoutResult::Failed(refusal) => refusal.is_passing() || *refusal == Refusal::UserBanned,
        _ => false,
    }
}

/// Orders the sessions of a request. The response reports the session of the greatest rank.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    /// Whether the session decides before others: it is proven or stale, or it may be alive after its logout.
    is_certain: bool,
    severity: u8,
}

/// How far an outcome is from success. The response to a request of several sessions reports the greatest
/// severity.
pub(super) fn severity(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::AlreadyEnded => 0,
        Outcome::Revoked => 1,
        Outcome::Queued => 2,
        Outcome::Refused => 3,
        Outcome::Failed => 4,
    }
}

/// Section 4 of the contract (`docs/http-api.md`): the outcome, the answer, and whether the response deletes the
/// cookies.
fn answer(
    result: &LogoutResult,
    carrier: Carrier,
    not_found: SessionNotFound,
) -> (Outcome, ResponseBody, bool) {
    // A refused Bearer token says nothing about the session in the cookies, so these stay.
    let by_cookie = carrier == Carrier::Cookie;
    match result {
        LogoutResult::Revoked => (Outcome::Revoked, ResponseBody::Success, true),
        LogoutResult::AlreadyEnded => {
            let answer = match not_found {
                SessionNotFound::Success => ResponseBody::Success,
                SessionNotFound::Unauthorized => ResponseBody::Error(Error::SessionNotFound),
            };
            (Outcome::AlreadyEnded, answer, true)
        }
        LogoutResult::OthersLiveOn => {
            (Outcome::Failed, ResponseBody::Error(Error::SessionNotFound), true)
        }
        LogoutResult::Queued(refusal) => {
            (Outcome::Queued, ResponseBody::Accepted(refusal.clone().into()), true)
        }
        LogoutResult::Failed(refusal) => {
            (Outcome::Failed, ResponseBody::Error(refusal.clone().into()), true)
        }
        LogoutResult::NotGenuine(error) => {
            (Outcome::Refused, ResponseBody::Error(Error::CredentialInvalid(*error)), by_cookie)
        }
        LogoutResult::Expired => {
            (Outcome::Refused, ResponseBody::Error(Error::CredentialExpired), by_cookie)
        }
    }
}

/// Adds the deletions of a request's cookies to its response.
pub(super) struct CookieDeletion<'r> {
    pub(super) config: &'r Config,
    pub(super) context: &'r RequestContext,
    pub(super) headers: &'r HeaderMap,
    pub(super) cookies: &'r RequestCookies<'r>,
    /// The length of the `Location` of the response to a form, in bytes. It shares a proxy's buffer with the
    /// `Set-Cookie` headers.
    pub(super) location_bytes: usize,
}

impl CookieDeletion<'_> {
    pub(super) fn add_to(&self, response: &mut LogoutResponse) {
        let site = RequestSite {
            is_https: self.context.client.is_https,
            is_cross_site: is_cross_site(self.headers),
        };
        let config = &self.config.cookies;
        // Keep room for the names that every logout deletes, even if the `Location` takes the whole budget.
        let least = config.least_set_cookie_bytes().min(config.budget);
        let room = config.budget.saturating_sub(self.location_bytes).max(least);
        let plan = deletion::plan(config, room, self.cookies, site);
        response.cookies_deleted = plan.set_cookies.len();
        let headers = response.http.headers_mut();
        for set_cookie in plan.set_cookies {
            headers.append(header::SET_COOKIE, set_cookie);
        }
        if plan.names_left > 0 {
            headers.insert(X_LOGOUT_COOKIES_LEFT, plan.names_left.into());
        }
        if let Some(types) = &self.config.logout.clear_site_data {
            headers.insert(CLEAR_SITE_DATA, types.clone());
        }
    }
}
