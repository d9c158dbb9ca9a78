//! The types of a logout's request, result and report.

use std::time::Duration;

use crate::{
    gotrue::{OnBehalfOf, Refusal},
    outcome::{Route, Scope, Stored},
    session::{Proof, token::TokenError},
};

/// The result of a logout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LogoutResult {
    /// GoTrue ended the sessions that the scope names.
    Revoked,
    /// All sessions that the scope names had already ended.
    AlreadyEnded,
    /// The requesting session had already ended, so GoTrue refused to end the user's other sessions: they are
    /// still active.
    OthersLiveOn,
    /// GoTrue refused the credential as not genuine.
    NotGenuine(TokenError),
    /// The access token has expired, and GoTrue did not refresh it. The session may still be active.
    Expired,
    /// GoTrue failed, and the logout is in the queue, which survives a restart.
    Queued(Refusal),
    /// GoTrue failed or refused the request. The session may still be active.
    Failed(Refusal),
}

/// The report of a logout, for the response and the audit line.
#[derive(Clone, Debug)]
pub(crate) struct LogoutReport {
    /// The result of the logout.
    pub(crate) result: LogoutResult,
    /// The HTTP status of GoTrue's answer to the logout request, if there was one.
    pub(crate) upstream_status: Option<u16>,
    /// The time that requests to GoTrue took, with a refresh and further tries; `None` if there was no
    /// request.
    pub(crate) upstream_time: Option<Duration>,
    /// Whether a try got no answer, so that GoTrue may have ended the session although the result is another
    /// one.
    pub(crate) unknown: bool,
    /// The proof of the session after GoTrue's answer: `Proven` if GoTrue confirmed that the token is
    /// genuine.
    pub(crate) proof: Proof,
}

/// A request to end sessions of a user.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogoutRequest<'a> {
    /// Which of the user's sessions the logout ends.
    pub(crate) scope: Scope,
    /// The route of the request, which is stored with a queued logout.
    pub(crate) route: &'a Stored<Route>,
    /// The request id and the client's data, for the headers of requests to GoTrue.
    pub(crate) caller: &'a OnBehalfOf,
    /// Whether an earlier try got no answer, so that GoTrue may have ended the session already.
    pub(crate) tried_before: bool,
    /// Whether the session had ended before the first try, or `/api/auth/verify` refused its tokens. If so,
    /// and GoTrue does not know the session after a try, that try need not have ended it.
    /// [`Logout::end`](super::Logout::end) sets this field.
    pub(crate) was_over: bool,
}
