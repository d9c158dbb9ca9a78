//! Reads the project that a token claims to be of, without verifying the token.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    Rules,
    issuers::{AcceptedIssuers, PublishedIssuer},
};

/// The project that a text claims to be an access token of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClaimedProject {
    /// This project: the text is a JWT with an accepted issuer and a session.
    This,
    /// A JWT with a session and an issuer that may be GoTrue's: the gateway has not fetched GoTrue's issuer yet.
    Unknown,
    /// Another project, or the text is no access token of a session.
    Other,
}

/// Reads only `iss` and `session_id`. A token of this project whose other claims break a rule is still of this
/// project, and must be refused, not ignored.
pub(crate) fn claimed_project(token: &str, rules: &Rules) -> ClaimedProject {
    let parts: Vec<_> = token.split('.').collect();
    let [_, payload, _] = parts.as_slice() else { return ClaimedProject::Other };
    let claims = URL_SAFE_NO_PAD.decode(payload).ok();
    let claims = claims.and_then(|json| serde_json::from_slice::<Map<String, Value>>(&json).ok());
    match claims {
        Some(claims) if has_session(&claims) => of_issuer(claims.get("iss"), &rules.issuers),
        Some(_) | None => ClaimedProject::Other,
    }
}

/// Whether the claims name a session. The nil UUID names none: see rule 3 of [`token`](super).
fn has_session(claims: &Map<String, Value>) -> bool {
    match claims.get("session_id") {
        None | Some(Value::Null) => false,
        Some(Value::String(id)) => id.parse::<Uuid>().map_or(!id.is_empty(), |id| !id.is_nil()),
        Some(_) => true,
    }
}

fn of_issuer(iss: Option<&Value>, issuers: &AcceptedIssuers) -> ClaimedProject {
    let is_accepted = match iss {
        None | Some(Value::Null) => issuers.is_accepted(None),
        Some(Value::String(iss)) => issuers.is_accepted(Some(iss)),
        Some(_) => return ClaimedProject::Other,
    };
    if is_accepted {
        ClaimedProject::This
    } else if issuers.accept_published() && *issuers.published() == PublishedIssuer::Unknown {
        ClaimedProject::Unknown
    } else {
        ClaimedProject::Other
    }
}
