//! `POST /token?grant_type=id_token`: a client brings the ID token of an identity provider (`OpenID` Connect).
//!
//! The mock plays the providers: it accepts ID tokens that its own keys have signed.

use std::time::UNIX_EPOCH;

use aws_lc_rs::digest::{SHA256, digest};
use axum::{
    Json,
    http::{HeaderMap, HeaderValue, StatusCode, header::AUTHORIZATION},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    authentication::Caller,
    client_addr::ClientAddr,
    database::{Database, TransactionError},
    error::{ApiVersion, GotrueError, insert_api_version},
    identity::Identity,
    linking::{self, RequestOrigin},
    mailer::Redirect,
    mock::Mock,
    person::ExternalIdentity,
    routes::authorize::{CLIENT_ID, issuer},
    session_response::{SessionTokens, begin_session},
    user::UserView,
};

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct IdTokenGrant {
    id_token: String,
    nonce: String,
    provider: String,
    client_id: String,
    issuer: String,
    link_identity: bool,
}

/// The issuers of providers that have one issuer. For Apple and Azure GoTrue takes the issuer from the token.
const ISSUERS: [(&str, &str); 3] = [
    ("google", "https://accounts.google.com"),
    ("facebook", "https://www.facebook.com"),
    ("kakao", "https://kauth.kakao.com"),
];

/// Claims that GoTrue takes into the data of the identity.
const KEPT_CLAIMS: [&str; 20] = [
    "iss",
    "sub",
    "aud",
    "iat",
    "exp",
    "name",
    "family_name",
    "given_name",
    "middle_name",
    "nickname",
    "preferred_username",
    "profile",
    "picture",
    "website",
    "gender",
    "birthdate",
    "zoneinfo",
    "locale",
    "email",
    "phone",
];

/// An error of this grant: most have the shape of RFC 6749, section 5.2, instead of GoTrue's.
enum GrantError {
    Gotrue(GotrueError),
    OAuth { error: &'static str, description: String },
}

impl From<GotrueError> for GrantError {
    fn from(error: GotrueError) -> Self {
        Self::Gotrue(error)
    }
}

impl TransactionError for GrantError {
    fn commits(&self) -> bool {
        matches!(self, Self::Gotrue(error) if error.commits())
    }
}

fn invalid_request(description: impl Into<String>) -> GrantError {
    GrantError::OAuth { error: "invalid request", description: description.into() }
}

impl IdTokenGrant {
    pub(crate) fn answer(
        &self,
        mock: &Mock,
        query: Option<&str>,
        headers: &HeaderMap,
        client: &ClientAddr,
    ) -> Result<Response, GotrueError> {
        let origin = RequestOrigin { redirect: &Redirect::of(mock, query, headers), client };
        let mut database = mock.database();
        let exchanged =
            database.transaction(|database| self.exchange(mock, database, headers, &origin));
        match exchanged {
            Ok(tokens) => Ok(tokens.into_response()),
            Err(GrantError::Gotrue(error)) => Err(error),
            Err(GrantError::OAuth { error, description }) => {
                let body = json!({ "error": error, "error_description": description });
                let mut response = (StatusCode::BAD_REQUEST, Json(body)).into_response();
                insert_api_version(response.headers_mut(), ApiVersion::from_headers(headers));
                Ok(response)
            }
        }
    }

    fn exchange(
        &self,
        mock: &Mock,
        database: &mut Database,
        headers: &HeaderMap,
        origin: &RequestOrigin<'_>,
    ) -> Result<SessionTokens, GrantError> {
        if self.id_token.is_empty() {
            return Err(invalid_request("id_token required"));
        }
        if self.provider.is_empty() && (self.client_id.is_empty() || self.issuer.is_empty()) {
            return Err(invalid_request("provider or client_id and issuer required"));
        }
        let linking_user = if self.link_identity {
            if headers.get(AUTHORIZATION).is_none_or(HeaderValue::is_empty) {
                let message = "Linking requires a valid user access token in Authorization";
                return Err(invalid_request(message));
            }
            Some(Caller::authenticate(mock, database, headers)?.user_id)
        } else {
            None
        };
        let external = self.verify(mock)?;
        let signed_in = match linking_user {
            Some(id) => linking::link(mock, database, id, &external, origin)?,
            None => linking::sign_in(mock, database, &external, origin)?,
        };
        let is_new = signed_in.identities_before.is_none();
        let view = if is_new { UserView::JustCreated } else { UserView::Stored };
        let tokens = begin_session(mock, database, signed_in.user_id, "oauth", view)?;
        Ok(match signed_in.identities_before {
            None => tokens,
            Some(identities) => with_identities(tokens, &identities),
        })
    }

    /// The name and the issuer of the provider.
    fn provider(&self, mock: &Mock) -> Result<(String, String), GotrueError> {
        let invalid = |message: String| GotrueError::bad_request("validation_failed", message);
        for (name, title) in [("apple", "Apple"), ("azure", "Azure")] {
            if self.provider != name {
                continue;
            }
            let Ok(token) = mock.keys().verify::<Value>(&self.id_token) else {
                let message = format!("Unable to detect issuer in ID token for {title} provider");
                return Err(invalid(message));
            };
            let issuer = token.get("iss").and_then(Value::as_str).unwrap_or_default().to_owned();
            let is_own = match name {
                "apple" => issuer == "https://appleid.apple.com",
                _ => issuer.starts_with("https://login.microsoftonline.com/"),
            };
            if !is_own {
                let message = format!("Detected ID token issuer is not an {title} ID token issuer");
                return Err(invalid(message));
            }
            return Ok((name.to_owned(), issuer));
        }
        let keycloak = ("keycloak", issuer(mock, "keycloak"));
        let fixed = ISSUERS.map(|(name, issuer)| (name, issuer.to_owned()));
        let is_meant = |(name, issuer): &(&str, String)| {
            self.provider == *name || self.provider.is_empty() && self.issuer == *issuer
        };
        let known = fixed.into_iter().chain([keycloak]).find(is_meant);
        let (name, issuer) = known.ok_or_else(|| {
            invalid(format!("Custom OIDC provider \"{}\" not allowed", self.provider))
        })?;
        Ok((name.to_owned(), issuer))
    }

    /// Checks the ID token as GoTrue does, in the same order.
    fn verify(&self, mock: &Mock) -> Result<ExternalIdentity, GrantError> {
        let (provider, issuer) = self.provider(mock)?;
        if !mock.settings().providers.contains(&provider) {
            let message = format!("Provider (issuer \"{issuer}\") is not enabled");
            return Err(GotrueError::bad_request("provider_disabled", message).into());
        }
        let bad_token = || invalid_request("Bad ID token");
        let claims: Map<String, Value> =
            mock.keys().verify(&self.id_token).map_err(|_| bad_token())?;
        let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
        let now = mock.now().duration_since(UNIX_EPOCH).map_or(0.0, |now| now.as_secs_f64());
        let is_expired = claims.get("exp").and_then(Value::as_f64).is_none_or(|exp| now >= exp);
        if text("iss") != issuer || is_expired {
            return Err(bad_token());
        }
        if text("sub").is_empty() {
            return Err(invalid_request("Missing sub claim in id_token"));
        }
        let audience = audience(claims.get("aud"));
        if !audience.iter().any(|client| client == CLIENT_ID) {
            let audience = audience.join(" ");
            return Err(invalid_request(format!(
                "Unacceptable audience in id_token: [{audience}]"
            )));
        }
        // Facebook's tokens have a nonce that its clients do not know.
        if provider != "facebook" {
            self.check_nonce(text("nonce"))?;
        }
        Ok(identity(&claims, provider, &audience))
    }

    /// The token has the SHA-256 hash of the client's nonce, in hexadecimal.
    fn check_nonce(&self, in_token: &str) -> Result<(), GrantError> {
        if in_token.is_empty() != self.nonce.is_empty() {
            let message = "Passed nonce and nonce in id_token should either both exist or not.";
            return Err(invalid_request(message));
        }
        let hash = hex::encode(digest(&SHA256, self.nonce.as_bytes()));
        if in_token.is_empty() || in_token == hash {
            return Ok(());
        }
        let description = "Nonces mismatch".to_owned();
        Err(GrantError::OAuth { error: "invalid nonce", description })
    }
}

/// GoTrue has read the identities of a known user before it links or changes one, and the response shows those
/// (recorded: `id-token-link`).
fn with_identities(mut tokens: SessionTokens, identities: &[Identity]) -> SessionTokens {
    let identities = identities.iter().map(|identity| identity.to_json(tokens.user_id));
    let identities: Value = identities.collect();
    if let Some(shown) = tokens.body.pointer_mut("/user/identities") {
        *shown = identities;
    }
    tokens
}

/// The claim `aud`, which is a text or a list.
fn audience(claim: Option<&Value>) -> Vec<String> {
    let claims = match claim {
        Some(Value::Array(clients)) => clients.as_slice(),
        other => other.map(std::slice::from_ref).unwrap_or_default(),
    };
    claims.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn identity(claims: &Map<String, Value>, provider: String, aud: &[String]) -> ExternalIdentity {
    let kept = claims.iter().filter(|(name, _)| KEPT_CLAIMS.contains(&name.as_str()));
    let mut data: Map<String, Value> =
        kept.map(|(name, value)| (name.clone(), value.clone())).collect();
    let email = claims.get("email").and_then(Value::as_str).filter(|email| !email.is_empty());
    let is_verified = |name: &str| claims.get(name).and_then(Value::as_bool).unwrap_or_default();
    let email_verified = email.is_some() && is_verified("email_verified");
    data.insert("aud".to_owned(), json!(aud));
    data.insert("email_verified".to_owned(), json!(email_verified));
    data.insert("phone_verified".to_owned(), json!(is_verified("phone_verified")));
    ExternalIdentity {
        provider,
        subject: claims.get("sub").and_then(Value::as_str).unwrap_or_default().to_owned(),
        email: email.map(str::to_lowercase),
        email_verified,
        data,
    }
}
