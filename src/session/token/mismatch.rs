//! The log's text about a genuine token whose `iss` or `aud` is not accepted. It names the token's value and the
//! accepted values, because the configuration is wrong, not the token.

use super::issuers::AcceptedIssuers;

/// The most characters of a claim that a log line shows.
const MOST_CHARACTERS: usize = 200;
/// The most characters of the accepted values in a log line. One of the values may come from GoTrue and have any
/// length.
const MOST_ACCEPTED_CHARACTERS: usize = 1000;

/// A claim that the configuration restricts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// `iss`
    Issuer,
    /// `aud`
    Audience,
}

impl Claim {
    fn name(self) -> &'static str {
        match self {
            Self::Issuer => "iss",
            Self::Audience => "aud",
        }
    }

    /// The variable that lists the accepted values.
    pub(crate) fn variable(self) -> &'static str {
        match self {
            Self::Issuer => "GATEWAY_JWT_ISSUER",
            Self::Audience => "GATEWAY_JWT_AUDIENCE",
        }
    }
}

/// A claim of a genuine token that is not accepted, with the accepted values. Neither `iss` nor `aud` is a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClaimMismatch {
    pub(crate) claim: Claim,
    /// The token's value, shortened; `none` if it has none.
    pub(crate) found: String,
    /// The accepted values.
    pub(crate) accepted: String,
}

impl ClaimMismatch {
    pub(super) fn issuer(found: Option<&str>, accepted: &AcceptedIssuers) -> Self {
        Self {
            claim: Claim::Issuer,
            found: shortened(found.unwrap_or("none"), MOST_CHARACTERS),
            accepted: shortened(&accepted.to_string(), MOST_ACCEPTED_CHARACTERS),
        }
    }

    pub(super) fn audience(found: &[String], accepted: &[String]) -> Self {
        let found = if found.is_empty() { "none".to_owned() } else { found.join(", ") };
        Self {
            claim: Claim::Audience,
            found: shortened(&found, MOST_CHARACTERS),
            accepted: shortened(&accepted.join(", "), MOST_ACCEPTED_CHARACTERS),
        }
    }
}

impl std::fmt::Display for ClaimMismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { claim, found, accepted } = self;
        let (name, variable) = (claim.name(), claim.variable());
        write!(
            f,
            "the token is genuine, but its claim {name} is {found}, and {variable} accepts {accepted}"
        )
    }
}

fn shortened(text: &str, most_characters: usize) -> String {
    text.chars().take(most_characters).collect()
}
