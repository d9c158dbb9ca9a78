//! `GET /authorize` and `GET /user/identities/authorize`: begins a sign-in at an identity provider, or the linking of
//! an identity. The mock is the provider itself, so both lead to its consent page.

use axum::{
    Json,
    extract::{RawQuery, State},
    http::{HeaderMap, Method, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::json;
use url::form_urlencoded;
use uuid::Uuid;

use crate::{
    authentication::Caller,
    database::Database,
    error::GotrueError,
    external_flow::ExternalFlow,
    flow_state::{Challenge, FlowState, Pkce},
    mailer::Redirect,
    mock::Mock,
    redirect::{encoded, redirect},
    request::query_parameter,
    routes::identities::check_linking,
    settings::{PROVIDERS, UNLISTED_PROVIDERS},
};

/// The mock's name at the identity providers.
pub(crate) const CLIENT_ID: &str = "the-client";

/// Parameters that the client must not set. `nonce` is not among them, because GoTrue passes it on.
const RESERVED_PARAMETERS: [&str; 8] = [
    "client_id",
    "client_secret",
    "redirect_uri",
    "response_type",
    "state",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
];

pub(crate) async fn authorize(
    State(mock): State<Mock>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, GotrueError> {
    let mut database = mock.database();
    let location = begin(&mock, &mut database, query.as_deref(), &headers, None)?;
    Ok(redirect(StatusCode::FOUND, &location, &Method::GET, ""))
}

pub(crate) async fn authorize_linking(
    State(mock): State<Mock>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, GotrueError> {
    let query = query.as_deref();
    let mut database = mock.database();
    let caller = Caller::authenticate(&mock, &database, &headers)?;
    check_linking(&mock)?;
    let location = begin(&mock, &mut database, query, &headers, Some(caller.user_id))?;
    if query_parameter(query, "skip_http_redirect") == "true" {
        return Ok(Json(json!({ "url": location })).into_response());
    }
    Ok(redirect(StatusCode::FOUND, &location, &Method::GET, ""))
}

/// Stores the flow. Returns the address of the consent page, or of the callback if the query names the user.
fn begin(
    mock: &Mock,
    database: &mut Database,
    query: Option<&str>,
    headers: &HeaderMap,
    linking_user: Option<Uuid>,
) -> Result<String, GotrueError> {
    let (parameter, now) = (|name| query_parameter(query, name), mock.now());
    let provider = parameter("provider");
    check_provider(mock, &provider)?;
    let invite_token = parameter("invite_token");
    if !invite_token.is_empty() && database.user_id_by_confirmation(&invite_token).is_none() {
        let message = "User identified by token not found";
        return Err(GotrueError::not_found("user_not_found", message));
    }
    let challenge = Challenge {
        challenge: parameter("code_challenge"),
        method: parameter("code_challenge_method"),
    };
    challenge.check()?;
    let pkce = challenge.is_given().then(|| {
        let pkce = Pkce::new(database.new_uuid(), challenge);
        pkce.ok_or_else(|| {
            GotrueError::bad_request("validation_failed", "Invalid code_challenge_method")
        })
    });
    let pkce = pkce.transpose()?;
    let (state, redirect_to) = (database.new_uuid(), Redirect::of(mock, query, headers));
    let redirect_to = redirect_to.as_str().to_owned();
    let location = match parameter("user") {
        user if user.is_empty() => consent_address(mock, query, &provider, state),
        user => callback_address(mock, &user, state),
    };
    let external = ExternalFlow { state, provider, redirect_to, invite_token, linking_user };
    database.add_flow_state(FlowState::new_external(external, pkce, now));
    Ok(location)
}

fn check_provider(mock: &Mock, provider: &str) -> Result<(), GotrueError> {
    let provider = provider.to_lowercase();
    let mut known = PROVIDERS.into_iter().chain(UNLISTED_PROVIDERS);
    let reason = if !known.any(|known| known == provider) {
        format!("Provider {provider} could not be found")
    } else if !mock.settings().providers.contains(&provider) {
        "provider is not enabled".to_owned()
    } else {
        return Ok(());
    };
    let message = format!("Unsupported provider: {reason}");
    Err(GotrueError::bad_request("validation_failed", message))
}

/// The address of the provider's consent page, which is also the provider's issuer.
pub(crate) fn issuer(mock: &Mock, provider: &str) -> String {
    format!("{}/mock/consent/{}", mock.url(), provider.to_lowercase())
}

fn consent_address(mock: &Mock, query: Option<&str>, provider: &str, state: Uuid) -> String {
    let scope = match (provider.to_lowercase().as_str(), &*query_parameter(query, "scopes")) {
        ("github", "") => "user:email".to_owned(),
        ("github", scopes) => format!("user:email {scopes}"),
        (_, "") => "profile email".to_owned(),
        (_, scopes) => format!("profile email {scopes}"),
    };
    let mut pairs: Vec<(String, String)> = Vec::new();
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        let is_known = pairs.iter().any(|(known, _)| *known == name);
        let is_reserved = matches!(&*name, "scopes" | "provider")
            || RESERVED_PARAMETERS.contains(&&*name.to_lowercase());
        if !is_known && !is_reserved {
            pairs.push((name.into_owned(), value.into_owned()));
        }
    }
    pairs.retain(|(name, _)| name != "scope");
    let own = [
        ("client_id", CLIENT_ID.to_owned()),
        ("redirect_uri", format!("{}/auth/v1/callback", mock.url())),
        ("response_type", "code".to_owned()),
        ("scope", scope.replace(',', " ")),
        ("state", state.to_string()),
    ];
    pairs.extend(own.map(|(name, value)| (name.to_owned(), value)));
    pairs.sort();
    format!("{}?{}", issuer(mock, provider), encoded(&pairs))
}

/// The address to which the provider would send this user after the consent.
fn callback_address(mock: &Mock, user: &str, state: Uuid) -> String {
    let is_known = mock.settings().people.contains_key(user) || user.contains('@');
    let code = if is_known { user.to_owned() } else { format!("{user}@example.com") };
    let pairs = [("code", code), ("state", state.to_string())];
    format!("{}/auth/v1/callback?{}", mock.url(), encoded(&pairs))
}
