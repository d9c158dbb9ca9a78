//! The request, the result and the report of a logout.

use std::time::Duration;

use crate::{
    gotrue::{OnBehalfOf, Refusal},
    outcome::{Route, Scope, Stored},
    session::{Proof, token::TokenError},
};

/// The result of a logout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LogoutResult {
    /// GoTrue revoked what the scope names.
    Revoked,
    /// The session, and everything else that the scope names, had already ended.
    AlreadyEnded,
    /// The session has already ended, so GoTrue refused to end the user's other sessions: they live on.
    OthersLiveOn,
    /// GoTrue does not accept the credential as genuine.
    NotGenuine(TokenError),
    /// The access token has expired, and GoTrue returns no new one for the refresh token. The session may live.
    Expired,
    /// GoTrue failed, and the logout is durably queued for a retry.
    Queued(Refusal),
    /// GoTrue failed or refused; the session may live.
    Failed(Refusal),
}

/// What a logout did, for the response and the audit log.
#[derive(Clone, Debug)]
pub(crate) struct LogoutReport {
    /// The result.
    pub(crate) result: LogoutResult,
    /// The status of GoTrue's answer to the logout, if there was one.
    pub(crate) upstream_status: Option<u16>,
    /// The time that GoTrue took, including a refresh and a second try; `None` if it was not called.
    pub(crate) upstream_time: Option<Duration>,
    /// Whether a try without an answer may have revoked the session although the result says otherwise.
    pub(crate) unknown: bool,
    /// The proof of the session after GoTrue's answer, which may have confirmed that it is genuine.
    pub(crate) proof: Proof,
}

/// A request to end sessions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogoutRequest<'a> {
    /// Which of the user's sessions end.
    pub(crate) scope: Scope,
    /// The route, for the entry in the queue.
    pub(crate) route: &'a Stored<Route>,
    /// The client that sent the request.
    pub(crate) caller: &'a OnBehalfOf,
    /// Whether an earlier try without an answer may have had its effect.
    pub(crate) tried_before: bool,
    /// Whether the session had ended before the first try, or `verify` refused its tokens: if the session is
    /// gone after a try, that try need not have ended it. [`Logout::end`](super::Logout::end) sets it.
    pub(crate) was_over: bool,
}
