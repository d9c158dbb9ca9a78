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
    match claims(payload) {
        Some(claims) if has_session(&claims.session_id) => of_issuer(&claims.iss, &rules.issuers),
        Some(_) | None => ClaimedProject::Other,
    }
}

/// Reads the claims as [`object`](super::unique_names::object) does: text that is not UTF-8 is no JSON, and the values
/// of other claims may be anything that the parser can skip.
fn claims(payload: &str) -> Option<ProjectClaims> {
    let bytes = decode_token_part(payload).ok()?;
    serde_json::from_str(std::str::from_utf8(&bytes).ok()?).ok()
}

/// The claims that show the project; `null` if a claim is missing. Of two members of one name the last one counts. A
/// map of all claims took 25,000 instructions more, a fortieth of a logout with a token never seen.
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

#[cfg(test)]
mod tests {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    use rstest::rstest;

    use super::*;
    use crate::config::tests::parse;

    const SESSION: &str = "5ad4a0c2-3b52-4a6e-9d5a-0f6a4cfd1a01";

    /// What the gateway makes of a token with an accepted issuer, a session and this member beside them.
    fn claimed_with(member: &[u8]) -> ClaimedProject {
        let before = format!(r#"{{"iss":"us","session_id":"{SESSION}","#);
        let json = [before.as_bytes(), member, b"}"].concat();
        let token = format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(json));
        claimed_project(&token, &Rules::new(&parse(&[("GATEWAY_JWT_ISSUER", "us")]).supabase))
    }

    #[rstest]
    #[case::a_lone_surrogate(r#""x":"\ud800""#.to_owned())]
    #[case::a_number_out_of_range(r#""x":1e999"#.to_owned())]
    #[case::many_digits(format!(r#""x":{}"#, "9".repeat(400)))]
    #[case::many_levels(format!(r#""x":{}{}"#, "[".repeat(200), "]".repeat(200)))]
    #[case::the_same_session_again(format!(r#""session_id":"{SESSION}""#))]
    #[case::an_escaped_name(r#""\u0069ss":"us""#.to_owned())]
    fn an_unusual_claim_does_not_make_the_token_one_of_another_project(#[case] member: String) {
        assert_eq!(claimed_with(member.as_bytes()), ClaimedProject::This);
    }

    #[rstest]
    #[case::not_utf_8(b"\"x\":\"\xff\"")]
    #[case::not_json(b"\"x\":")]
    #[case::a_second_issuer(b"\"iss\":\"them\"")]
    #[case::a_second_session_id_that_is_null(b"\"session_id\":null")]
    fn a_text_without_claims_of_this_project_is_of_another(#[case] member: &[u8]) {
        assert_eq!(claimed_with(member), ClaimedProject::Other);
    }
}
