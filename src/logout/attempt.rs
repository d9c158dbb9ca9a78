//! One try at a logout, judged.

use std::time::SystemTime;

use super::{LogoutResult, under_way::UnderWay};
use crate::outcome::Scope;
use crate::{
    gotrue::{LogoutAnswer, Refusal},
    session::token::{TokenError, Validity},
};

/// Why there is no fresh access token.
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
    /// What GoTrue answers to a refresh never proves that the session is over.
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

/// One answer to a logout, judged.
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts about one answer, none implied by another"
)]
pub(super) struct Attempt {
    pub(super) result: LogoutResult,
    /// GoTrue has vouched for the session: by 204, or by refreshing its token.
    pub(super) vouched: bool,
    /// GoTrue itself answered; else it may have been a proxy, or any other server.
    pub(super) answered_by_gotrue: bool,
    /// The clock of the server that answered.
    pub(super) date: Option<SystemTime>,
    /// That of the token which a refresh gave, if GoTrue was asked with that.
    pub(super) refreshed: Option<Validity>,
    pub(super) status: Option<u16>,
    /// It may have had its effect without the gateway's hearing of it.
    pub(super) unknown: bool,
    /// The session is gone after a try whose answer did not come: it counts as revoked by that try, and
    /// GoTrue has said nothing about other sessions.
    pub(super) assumed: bool,
    /// A `local` logout is under way until its end is recorded.
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

    /// The same, while this logout counts as under way.
    pub(super) fn during(self, under_way: Option<UnderWay>) -> Self {
        Self { _under_way: under_way, ..self }
    }

    /// Whether GoTrue's answer settles what becomes of the session that asked.
    pub(super) fn is_final(&self) -> bool {
        matches!(
            self.result,
            LogoutResult::Revoked | LogoutResult::AlreadyEnded | LogoutResult::OthersLiveOn
        )
    }

    /// The attempt at a wider scope as an answer to a `local` logout: where the session is gone, there is
    /// nothing left to revoke.
    pub(super) fn of_narrower_scope(self) -> Self {
        match self.result {
            LogoutResult::OthersLiveOn => Self { result: LogoutResult::AlreadyEnded, ..self },
            _ => self,
        }
    }
}
