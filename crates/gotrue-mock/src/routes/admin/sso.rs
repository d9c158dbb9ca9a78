//! Single sign-on by SAML, and identity providers of the project's own. The mock has neither, so that both lists are
//! empty.

use axum::{Json, extract::State, http::HeaderMap};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::{
    authentication::require_administrator, error::GotrueError, mock::Mock,
    request::parse_json_object,
};

/// `GET /admin/sso/providers`.
pub(crate) async fn saml_providers(
    State(mock): State<Mock>,
    headers: HeaderMap,
) -> Result<Json<Value>, GotrueError> {
    require_administrator(&mock, &headers)?;
    Ok(Json(json!({ "items": [] })))
}

/// `GET /admin/custom-providers`.
pub(crate) async fn custom_providers(
    State(mock): State<Mock>,
    headers: HeaderMap,
) -> Result<Json<Value>, GotrueError> {
    require_administrator(&mock, &headers)?;
    Ok(Json(json!({ "providers": [] })))
}

/// The addresses of a provider, which depend on its type.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Provider {
    #[serde(rename = "provider_type")]
    kind: String,
    issuer: String,
    discovery_url: Option<String>,
    authorization_url: String,
    token_url: String,
    userinfo_url: String,
    jwks_uri: Option<String>,
}

/// `POST /admin/custom-providers`: refuses a provider without HTTPS as GoTrue does, and any other because the mock has
/// no providers of the project's own.
pub(crate) async fn create_custom_provider(
    State(mock): State<Mock>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, GotrueError> {
    require_administrator(&mock, &headers)?;
    let provider: Provider = parse_json_object(&body, "AdminCustomOAuthProviderParams")?;
    let addresses = match &*provider.kind {
        "oidc" => vec![Some(provider.issuer), provider.discovery_url],
        "oauth2" => vec![
            Some(provider.authorization_url),
            Some(provider.token_url),
            Some(provider.userinfo_url),
            provider.jwks_uri,
        ],
        _ => {
            let message = "provider_type must be either 'oauth2' or 'oidc'";
            return Err(GotrueError::bad_request("validation_failed", message));
        }
    };
    let is_insecure = |text: &String| Url::parse(text).is_ok_and(|url| url.scheme() != "https");
    if addresses.iter().flatten().any(is_insecure) {
        return Err(GotrueError::bad_request("validation_failed", "URL must use HTTPS"));
    }
    Err(GotrueError::not_implemented("POST /admin/custom-providers"))
}
