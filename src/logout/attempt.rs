//! The result of one attempt to end a session.

use std::time::SystemTime;

use super::{LogoutResult, under_way::UnderWay};
use crate::{
    gotrue::{LogoutAnswer, Refusal},
    outcome::Scope,
    session::token::{TokenError, Validity},
};

/// Why a refresh brought no new access token.
pub(super) enum RefreshError {
    Refused(Refusal),
    Foreign,
}

impl From<Refusal> for RefreshError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl RefreshError {
    /// GoTrue's answer to a refresh never proves that the session has ended.
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

/// One attempt, with GoTrue's answer interpreted.
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts about one answer, none implied by another"
)]
pub(super) struct Attempt {
    pub(super) result: LogoutResult,
    /// Whether GoTrue confirmed that the session is genuine, by 204 or by a refresh.
    pub(super) vouched: bool,
    /// Whether GoTrue itself answered, and not a proxy or another server.
    pub(super) answered_by_gotrue: bool,
    /// The clock of the server that answered.
    pub(super) date: Option<SystemTime>,
    /// The times of the refreshed token, if the attempt used one.
    pub(super) refreshed: Option<Validity>,
    pub(super) status: Option<u16>,
    /// Whether a try without an answer may have had its effect.
    pub(super) unknown: bool,
    /// Whether `Revoked` is an assumption: the session is gone after a try without an answer, and GoTrue said
    /// nothing about other sessions.
    pub(super) assumed: bool,
    /// Keeps a `local` logout under way until its end is recorded.
    _under_way: Option<UnderWay>,
}

impl Attempt {
    pub(super) fn of(answer: &LogoutAnswer, scope: Scope) -> Self {
        let known = [Refusal::SessionNotFound, Refusal::UserNotFound, Refusal::UserBanned];
        Self {
            vouched: answer.result.is_ok() && !answer.assumed,
            result: match &answer.result {
                Ok(()) => LogoutResult::Revoked,
                Err(refusal) => result_of_refusal(refusal.clone(), scope),
            },
            // GoTrue verifies the signature before it looks for user and session.
            answered_by_gotrue: answer
                .result
                .as_ref()
                .map_or_else(|r| known.contains(r), |()| true),
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
            vouched: false,
            answered_by_gotrue: false,
            date: None,
            refreshed: None,
            status: None,
            unknown: false,
            assumed: false,
            _under_way: None,
        }
    }

    /// The same attempt, which keeps the logout under way.
    pub(super) fn during(self, under_way: Option<UnderWay>) -> Self {
        Self { _under_way: under_way, ..self }
    }

    /// Whether GoTrue's answer says that the session has ended.
    pub(super) fn is_final(&self) -> bool {
        matches!(
            self.result,
            LogoutResult::Revoked | LogoutResult::AlreadyEnded | LogoutResult::OthersLiveOn
        )
    }

    /// The attempt at a wider scope as the answer to a `local` logout: if the session is gone, it has already
    /// ended.
    pub(super) fn of_narrower_scope(self) -> Self {
        match self.result {
            LogoutResult::OthersLiveOn => Self { result: LogoutResult::AlreadyEnded, ..self },
            _ => self,
        }
    }
}
