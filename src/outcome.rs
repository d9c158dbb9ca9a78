//! The words of the contract, each spelled once: the reply, the queue, the failure log, the audit line, the
//! traces and the metrics all use these types.
//!
//! A new word is a new variant. The compiler then finds every `match` that must know it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use strum::{EnumCount, EnumString, IntoStaticStr, VariantArray};

/// Which of the user's sessions a logout ends, in GoTrue's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum Scope {
    /// This session.
    Local,
    /// Every other session of the user.
    Others,
    /// Every session of the user.
    Global,
}

/// The path of a logout. `/logout/` counts as `/logout`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumString, IntoStaticStr, VariantArray)]
pub enum Route {
    /// The Supabase envelope API.
    #[strum(serialize = "/api/auth/logout")]
    Envelope,
    /// The REST API v1.
    #[strum(serialize = "/api/v1/auth/logout")]
    Rest,
    /// The session API, and HTML forms.
    #[strum(serialize = "/logout")]
    SessionApi,
}

/// What the answer to a logout says: `X-Logout-Outcome`, or `refused` where there is no such header.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, EnumCount, EnumString, IntoStaticStr, VariantArray,
)]
#[strum(serialize_all = "kebab-case")]
pub enum Outcome {
    /// GoTrue revoked what the scope names.
    Revoked,
    /// There was nothing left to revoke.
    AlreadyEnded,
    /// GoTrue failed. The queue holds the logout, and the worker retries it.
    Queued,
    /// The session may live on.
    Failed,
    /// The gateway did not ask GoTrue: a 4xx of its own, or 503.
    Refused,
}

/// What the failure log and the retries of the queue say of a logout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordedOutcome {
    /// As a logout was answered, or as a retry turned out.
    Of(Outcome),
    /// The worker gave up a queued logout.
    GaveUp,
    /// An operator dropped a queued logout.
    Dropped,
}

/// Why: the `reason` of an error, or its `code` where the contract has no reason for it; and why an entry
/// stays in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Reason {
    /// The query's `scope` is unknown or given twice.
    UnsupportedScope,
    /// Two headers of one name where one is expected.
    DuplicateHeader,
    /// The request could not be read.
    MalformedRequest,
    /// No credential, or no CSRF token.
    Missing,
    /// The credential or the CSRF token is not valid.
    Invalid,
    /// The access token has expired, and nothing refreshes it.
    Expired,
    /// GoTrue does not know the session.
    NotFound,
    /// The session was logged out here.
    Revoked,
    /// The request comes from a page of another site.
    CrossSite,
    /// GoTrue could not be reached.
    AuthServiceUnavailable,
    /// GoTrue did not answer in time.
    AuthServiceTimeout,
    /// GoTrue failed, or answered as GoTrue never does.
    AuthServiceError,
    /// GoTrue refuses a banned user.
    UserBanned,
    /// The project's keys are not known.
    KeySet,
    /// GoTrue does not answer, and only GoTrue can verify the token.
    AuthService,
    /// The store does not answer.
    Store,
    /// The process is about to end.
    ShuttingDown,
    /// This process cannot read the entry of the queue, or cannot decrypt its credentials.
    Unreadable,
    /// 404.
    #[strum(serialize = "NOT_FOUND")]
    UnknownPath,
    /// 405.
    #[strum(serialize = "METHOD_NOT_ALLOWED")]
    MethodNotAllowed,
    /// 413.
    #[strum(serialize = "PAYLOAD_TOO_LARGE")]
    PayloadTooLarge,
    /// 415.
    #[strum(serialize = "UNSUPPORTED_MEDIA_TYPE")]
    UnsupportedMediaType,
    /// 421.
    #[strum(serialize = "MISDIRECTED_REQUEST")]
    MisdirectedRequest,
    /// 429 of GoTrue.
    #[strum(serialize = "RATE_LIMITED")]
    RateLimited,
    /// 500: a bug of the gateway.
    #[strum(serialize = "INTERNAL")]
    Internal,
    /// 503: more requests at once than the gateway takes.
    #[strum(serialize = "OVERLOADED")]
    Overloaded,
}

/// A word in a stored record. A newer release may have written one that this release does not know: the
/// record stays readable, and keeps the word as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored<T> {
    /// A word of this release.
    Known(T),
    /// Any other.
    Unknown(String),
}

impl Scope {
    /// GoTrue's word: `local`, `others` or `global`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl Route {
    /// The path.
    pub(crate) fn as_str(self) -> &'static str {
        self.into()
    }
}

impl Outcome {
    /// The contract's word.
    pub(crate) fn as_str(self) -> &'static str {
        self.into()
    }
}

impl RecordedOutcome {
    /// The contract's word.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Of(outcome) => outcome.as_str(),
            Self::GaveUp => "gave-up",
            Self::Dropped => "dropped",
        }
    }
}

impl From<RecordedOutcome> for &'static str {
    fn from(outcome: RecordedOutcome) -> Self {
        outcome.as_str()
    }
}

impl FromStr for RecordedOutcome {
    type Err = strum::ParseError;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let later = [Self::GaveUp, Self::Dropped].into_iter().find(|later| later.as_str() == word);
        later.map_or_else(|| word.parse().map(Self::Of), Ok)
    }
}

impl Reason {
    /// The contract's word.
    pub(crate) fn as_str(self) -> &'static str {
        self.into()
    }
}

impl<T: FromStr> From<&str> for Stored<T> {
    fn from(word: &str) -> Self {
        word.parse().map_or_else(|_| Self::Unknown(word.to_owned()), Self::Known)
    }
}

impl<T: Copy> Stored<T> {
    /// The word, if this release knows it.
    pub(crate) fn known(&self) -> Option<T> {
        match self {
            Self::Known(word) => Some(*word),
            Self::Unknown(_) => None,
        }
    }
}

impl<T: Copy + Into<&'static str>> Stored<T> {
    /// The word as it is stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(word) => (*word).into(),
            Self::Unknown(word) => word,
        }
    }
}

impl<T: Copy + Into<&'static str>> fmt::Display for Stored<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl<T: Copy + Into<&'static str>> Serialize for Stored<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de, T: FromStr> Deserialize<'de> for Stored<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(String::deserialize(deserializer)?.as_str().into())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("local", Some(Scope::Local))]
    #[case("others", Some(Scope::Others))]
    #[case("global", Some(Scope::Global))]
    #[case("Local", None)]
    #[case(" local", None)]
    #[case("", None)]
    fn a_scope_is_exactly_its_word(#[case] word: &str, #[case] scope: Option<Scope>) {
        assert_eq!(word.parse().ok(), scope);
    }

    #[test]
    fn a_stored_word_of_a_newer_release_stays_as_it_is() {
        for word in ["auth_service_error", "RATE_LIMITED", "of a newer release", ""] {
            let json = serde_json::to_string(word).unwrap();
            let stored: Stored<Reason> = serde_json::from_str(&json).unwrap();
            assert_eq!(serde_json::to_string(&stored).unwrap(), json);
        }
        let outcomes = ["revoked", "already-ended", "gave-up", "dropped", "new"].map(Stored::from);
        let [.., dropped, new]: [Stored<RecordedOutcome>; 5] = outcomes;
        assert_eq!(dropped.known(), Some(RecordedOutcome::Dropped));
        assert_eq!((new.known(), new.as_str()), (None, "new"));
    }
}
