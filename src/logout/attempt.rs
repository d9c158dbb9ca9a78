//! One try at a logout, judged.

use std::time::SystemTime;

use super::Outcome;
use crate::{
    config::Scope,
    gotrue::{LogoutAnswer, Refusal},
    session::token::TokenFault,
};

/// Why there is no fresh access token.
pub(super) enum RefreshFault {
    Refused(Refusal),
    Foreign,
}

impl From<Refusal> for RefreshFault {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl RefreshFault {
    pub(super) fn outcome(self, scope: Scope) -> Outcome {
        match self {
            Self::Foreign => Outcome::NotGenuine(TokenFault::ForeignRefresh),
            Self::Refused(Refusal::BadRefreshToken) => Outcome::Expired,
            Self::Refused(refusal) => outcome_of_refusal(refusal, scope),
        }
    }
}

fn outcome_of_refusal(refusal: Refusal, scope: Scope) -> Outcome {
    match refusal {
        Refusal::UserNotFound => Outcome::AlreadyEnded,
        Refusal::SessionNotFound if scope == Scope::Local => Outcome::AlreadyEnded,
        Refusal::SessionNotFound => Outcome::OthersLiveOn,
        Refusal::BadJwt => Outcome::NotGenuine(TokenFault::Signature),
        refusal => Outcome::Failed(refusal),
    }
}

/// One answer to a logout, judged.
pub(super) struct Attempt {
    pub(super) outcome: Outcome,
    /// GoTrue's answer proves that the token is genuine.
    pub(super) vouched: bool,
    /// Else it may have been a proxy, or anybody.
    pub(super) answered_by_gotrue: bool,
    /// The clock of whoever answered.
    pub(super) date: Option<SystemTime>,
    pub(super) status: Option<u16>,
    /// It may have had its effect without our hearing of it.
    pub(super) unknown: bool,
}

impl Attempt {
    pub(super) fn of(answer: &LogoutAnswer, scope: Scope) -> Self {
        let known = [Refusal::SessionNotFound, Refusal::UserNotFound, Refusal::UserBanned];
        // GoTrue verifies the signature before it looks for user and session.
        let vouched = answer.result.as_ref().map_or_else(|r| known.contains(r), |()| true);
        Self {
            vouched,
            outcome: match &answer.result {
                Ok(()) => Outcome::Revoked,
                Err(refusal) => outcome_of_refusal(refusal.clone(), scope),
            },
            answered_by_gotrue: vouched,
            date: answer.date,
            status: answer.status,
            unknown: answer.unknown,
        }
    }

    pub(super) fn without_answer(outcome: Outcome) -> Self {
        Self {
            outcome,
            vouched: false,
            answered_by_gotrue: false,
            date: None,
            status: None,
            unknown: false,
        }
    }
}
