//! The result of one attempt to end a session at GoTrue.

use std::time::SystemTime;

use super::{LogoutResult, under_way::UnderWay};
use crate::{
    gotrue::{LogoutAnswer, Refusal},
    outcome::Scope,
    session::token::{TokenError, Validity},
};

/// The error of a refresh that returned no usable access token.
pub(super) enum RefreshError {
    /// GoTrue refused the refresh or failed.
    Refused(Refusal),
    /// GoTrue returned a token of another session or user.
    Foreign,
}

impl From<Refusal> for RefreshError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl RefreshError {
    /// The result of the logout. It is never `AlreadyEnded`, because GoTrue's answer to a refresh does not
    /// prove that the session has ended.
    pub(super) fn result(self) -> LogoutResult {
        match self {
            Self::Foreign => LogoutResult::NotGenuine(TokenError::ForeignRefresh),
            Self::Refused(Refusal::RefreshTokenRefused) => LogoutResult::Expired,
            Self::Refused(refusal) => LogoutResult::Failed(refusal),
        }
    }
}

fn result_of_refusal(refusal: Refusal, scope: Scope) -> LogoutResult {
    match refusal {
        Refusal::UserNotFound => LogoutResult::AlreadyEnded,
        Refusal::SessionNotFound if scope == Scope::Local => LogoutResult::AlreadyEnded,
        Refusal::SessionNotFound => LogoutResult::OthersLiveOn,
        Refusal::BadJwt => LogoutResult::NotGenuine(TokenError::Signature),
        refusal => LogoutResult::Failed(refusal),
    }
}

/// The result of one attempt, and the facts that follow from GoTrue's answer.
#[expect(clippy::struct_excessive_bools, reason = "independent facts about one answer")]
pub(super) struct Attempt {
    pub(super) result: LogoutResult,
    /// Whether GoTrue confirmed that the access token is genuine, by a 204 to the logout or by a refresh.
    pub(super) is_confirmed_genuine: bool,
    /// Whether GoTrue itself answered the logout request, and not a proxy or another server.
    pub(super) answered_by_gotrue: bool,
    /// The header `Date` of the answer: the time by the clock of the server that answered.
    pub(super) date: Option<SystemTime>,
    /// The `iat` and `exp` of the refreshed access token, if the attempt used one.
    pub(super) refreshed: Option<Validity>,
    pub(super) status: Option<u16>,
    /// Whether a try got no answer, so that GoTrue may have ended the session nevertheless.
    pub(super) unknown: bool,
    /// Whether the result `Revoked` is an assumption: a try got no answer, and afterwards GoTrue did not know
    /// the session. GoTrue has then not confirmed the end of other sessions.
    pub(super) assumed: bool,
    /// Keeps a `local` logout marked as under way until its end is recorded.
    _under_way: Option<UnderWay>,
}

impl Attempt {
    pub(super) fn of(answer: &LogoutAnswer, scope: Scope) -> Self {
        let from_gotrue = [Refusal::SessionNotFound, Refusal::UserNotFound, Refusal::UserBanned];
        Self {
            is_confirmed_genuine: answer.result.is_ok() && !answer.assumed,
            result: match &answer.result {
                Ok(()) => LogoutResult::Revoked,
                Err(refusal) => result_of_refusal(refusal.clone(), scope),
            },
            // These refusals come from GoTrue after it has verified the token's signature. Other refusals may
            // come from a proxy.
            answered_by_gotrue: answer
                .result
                .as_ref()
                .map_or_else(|refusal| from_gotrue.contains(refusal), |()| true),
            date: answer.date,
            refreshed: None,
            status: answer.status,
            unknown: answer.unknown,
            assumed: answer.assumed,
            _under_way: None,
        }
    }

    pub(super) fn without_answer(result: LogoutResult) -> Self {
        Self {
            result,
            is_confirmed_genuine: false,
            answered_by_gotrue: false,
            date: None,
            refreshed: None,
            status: None,
            unknown: false,
            assumed: false,
            _under_way: None,
        }
    }

    /// Adds `under_way`, which keeps the logout marked as under way while the attempt exists.
    pub(super) fn during(self, under_way: Option<UnderWay>) -> Self {
        Self { _under_way: under_way, ..self }
    }

    /// Whether the session has ended, by GoTrue's answer.
    pub(super) fn is_final(&self) -> bool {
        matches!(
            self.result,
            LogoutResult::Revoked | LogoutResult::AlreadyEnded | LogoutResult::OthersLiveOn
        )
    }

    /// Converts an attempt with a wider scope into the result of a `local` logout: if GoTrue does not know
    /// the session, a `local` logout has nothing left to end.
    pub(super) fn of_narrower_scope(self) -> Self {
        match self.result {
            LogoutResult::OthersLiveOn => Self { result: LogoutResult::AlreadyEnded, ..self },
            _ => self,
        }
    }
}
