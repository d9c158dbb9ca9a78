//! Reads the project that a token claims to be of, without verifying the token.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::Value;
use uuid::Uuid;

use super::{
    Rules,
    issuers::{AcceptedIssuers, PublishedIssuer},
};
use crate::session::base64url::decode_token_part;

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
    let json = decode_token_part(payload).ok();
    match json.and_then(|json| serde_json::from_slice::<ProjectClaims>(&json).ok()) {
        Some(claims) if has_session(&claims.session_id) => of_issuer(&claims.iss, &rules.issuers),
        Some(_) | None => ClaimedProject::Other,
    }
}

/// The claims that show the project; `null` if a claim is missing. Of two members of one name the last one counts. A
/// map of all claims would take ten times the instructions.
#[derive(Debug, Default)]
struct ProjectClaims {
    iss: Value,
    session_id: Value,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum ClaimName {
    Iss,
    SessionId,
    #[serde(other)]
    Other,
}

impl<'de> Deserialize<'de> for ProjectClaims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ClaimsVisitor)
    }
}

struct ClaimsVisitor;

impl<'de> Visitor<'de> for ClaimsVisitor {
    type Value = ProjectClaims;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the claims of a token")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ProjectClaims, A::Error> {
        let mut claims = ProjectClaims::default();
        while let Some(name) = map.next_key()? {
            match name {
                ClaimName::Iss => claims.iss = map.next_value()?,
                ClaimName::SessionId => claims.session_id = map.next_value()?,
                ClaimName::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(claims)
    }
}

/// Whether the claim `session_id` names a session. The nil UUID names none: see rule 3 of [`token`](super).
fn has_session(session_id: &Value) -> bool {
    match session_id {
        Value::Null => false,
        Value::String(id) => id.parse::<Uuid>().map_or(!id.is_empty(), |id| !id.is_nil()),
        _ => true,
    }
}

fn of_issuer(iss: &Value, issuers: &AcceptedIssuers) -> ClaimedProject {
    let is_accepted = match iss {
        Value::Null => issuers.is_accepted(None),
        Value::String(iss) => issuers.is_accepted(Some(iss)),
        _ => return ClaimedProject::Other,
    };
    if is_accepted {
        ClaimedProject::This
    } else if issuers.accept_published() && *issuers.published() == PublishedIssuer::Unknown {
        ClaimedProject::Unknown
    } else {
        ClaimedProject::Other
    }
}
