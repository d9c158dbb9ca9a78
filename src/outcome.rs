//! The words of the HTTP contract (docs/http-api.md) for a logout's scope, route, outcome and reason, each
//! spelled once. Responses, the queue, the failure log, audit lines, traces and metrics use these types.
//!
//! To add a word, add a variant: the compiler then reports every `match` that does not handle it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use strum::{EnumCount, EnumString, IntoStaticStr, VariantArray};

/// Which of the user's sessions a logout ends, named as GoTrue names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum Scope {
    /// The session of the presented credential.
    Local,
    /// Every session of the user except the session of the presented credential.
    Others,
    /// Every session of the user.
    Global,
}

/// The path of a logout request. `/logout/` counts as `/logout`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumString, IntoStaticStr, VariantArray)]
pub enum Route {
    /// The logout route whose success response has Supabase's envelope, a JSON object with the member `data`.
    #[strum(serialize = "/api/auth/logout")]
    Envelope,
    /// The logout route of the REST API v1.
    #[strum(serialize = "/api/v1/auth/logout")]
    Rest,
    /// The logout route of the session API, which HTML forms use too.
    #[strum(serialize = "/logout")]
    SessionApi,
}

/// The outcome in the response to a logout: the value of the header `X-Logout-Outcome`, or `refused` for a
/// response without that header.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, EnumCount, EnumString, IntoStaticStr, VariantArray,
)]
#[strum(serialize_all = "kebab-case")]
pub enum Outcome {
    /// GoTrue revoked the sessions that the scope names.
    Revoked,
    /// The session had already ended before this request.
    AlreadyEnded,
    /// GoTrue failed. The logout is in the queue, and the worker retries it.
    Queued,
    /// The logout failed and is not retried: the session may still be active.
    Failed,
    /// The gateway refused the request (4xx or 503) without asking GoTrue to end a session.
    Refused,
}

/// The outcome of a logout in the failure log and in the metric of the queue's retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordedOutcome {
    /// The outcome of the logout's response, or of a retry.
    Of(Outcome),
    /// The worker gave up a queued logout: it is not retried again.
    GaveUp,
    /// An operator deleted a queued logout from the queue.
    Dropped,
}

/// The cause of an error response (its `reason`, or its `code` if the contract defines no reason for it), or
/// the cause for which a logout is still in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Reason {
    /// The query parameter `scope` has an unknown value or is given twice.
    UnsupportedScope,
    /// The request has a header twice that may be given only once.
    DuplicateHeader,
    /// The request's headers or body could not be parsed.
    MalformedRequest,
    /// The request has no credential, or no CSRF token.
    Missing,
    /// The credential or the CSRF token is not valid.
    Invalid,
    /// The access token has expired, and the request has no refresh token that GoTrue accepts.
    Expired,
    /// GoTrue does not know the session.
    NotFound,
    /// The session is in this gateway's revocation list.
    Revoked,
    /// The request comes from a page of another site.
    CrossSite,
    /// GoTrue could not be reached.
    AuthServiceUnavailable,
    /// GoTrue did not answer in time.
    AuthServiceTimeout,
    /// GoTrue answered with an error, or the answer is not one that GoTrue sends.
    AuthServiceError,
    /// GoTrue refuses the request because the user is banned.
    UserBanned,
    /// The gateway has no current key set of the project, so it cannot verify tokens.
    KeySet,
    /// GoTrue does not answer, and only GoTrue can verify the token.
    AuthService,
    /// The store does not answer.
    Store,
    /// The process is about to end.
    ShuttingDown,
    /// This process cannot parse the queue entry, or cannot decrypt its credentials.
    Unreadable,
    /// 404: the gateway has no such path.
    #[strum(serialize = "NOT_FOUND")]
    UnknownPath,
    /// 405: the path does not allow the request's method.
    #[strum(serialize = "METHOD_NOT_ALLOWED")]
    MethodNotAllowed,
    /// 413: the request's body is too long.
    #[strum(serialize = "PAYLOAD_TOO_LARGE")]
    PayloadTooLarge,
    /// 415: the request's body has a media type that the route does not accept.
    #[strum(serialize = "UNSUPPORTED_MEDIA_TYPE")]
    UnsupportedMediaType,
    /// 421: the admin listener does not serve the request's host.
    #[strum(serialize = "MISDIRECTED_REQUEST")]
    MisdirectedRequest,
    /// GoTrue answered 429.
    #[strum(serialize = "RATE_LIMITED")]
    RateLimited,
    /// 500: a bug in the gateway.
    #[strum(serialize = "INTERNAL")]
    Internal,
    /// 503: more requests at once than `GATEWAY_MAX_IN_FLIGHT` allows.
    #[strum(serialize = "OVERLOADED")]
    Overloaded,
}

/// A word of a stored record. A newer release may have written a word that this release does not know: the
/// record stays readable, and the word is kept unchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored<T> {
    /// A word that this release knows.
    Known(T),
    /// A word of a newer release.
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
    /// The path without a trailing slash.
    pub(crate) fn as_str(self) -> &'static str {
        self.into()
    }
}

impl Outcome {
    /// The word of the contract, such as `revoked` or `not_found`.
    pub(crate) fn as_str(self) -> &'static str {
        self.into()
    }
}

impl RecordedOutcome {
    /// The word of the contract, such as `revoked` or `not_found`.
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
        let queue_only =
            [Self::GaveUp, Self::Dropped].into_iter().find(|outcome| outcome.as_str() == word);
        queue_only.map_or_else(|| word.parse().map(Self::Of), Ok)
    }
}

impl Reason {
    /// The word of the contract, such as `revoked` or `not_found`.
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
    /// The word as its type, or `None` if this release does not know it.
    pub(crate) fn known(&self) -> Option<T> {
        match self {
            Self::Known(word) => Some(*word),
            Self::Unknown(_) => None,
        }
    }
}

impl<T: Copy + Into<&'static str>> Stored<T> {
    /// The word as it stands in the record.
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
