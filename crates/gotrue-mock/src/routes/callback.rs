//! `GET` and `POST /callback`: a person comes back from the identity provider. The answer is always a redirect.
//!
//! 1. Without a usable `state` the redirect leads to the site, with status 303 and the error in the query alone.
//! 2. Other errors stand in both the query and the fragment of the client's address, with status 302.

use axum::{
    extract::{RawQuery, State},
    http::{HeaderMap, Method, StatusCode},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use uuid::Uuid;

use crate::{
    client_addr::ClientAddr,
    database::{Database, TransactionError},
    error::{ApiVersion, GotrueError},
    external_flow::{ExternalFlow, ProviderTokens},
    linking::{self, RequestOrigin},
    mailer::Redirect,
    mock::Mock,
    person::{ExternalIdentity, Person},
    redirect::{encoded, oauth_error, redirect, with_fragment, with_query},
    request::query_parameter,
    routes::authorize::issuer,
    session_response::{SessionTokens, begin_session},
    user::UserView,
};

pub(crate) async fn callback(
    State(mock): State<Mock>,
    RawQuery(query): RawQuery,
    client: ClientAddr,
    headers: HeaderMap,
) -> Response {
    answer(&mock, query.as_deref(), &headers, &Method::GET, &client)
}

/// Some providers send a form that posts the parameters.
pub(crate) async fn callback_by_form(
    State(mock): State<Mock>,
    client: ClientAddr,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    answer(&mock, std::str::from_utf8(&body).ok(), &headers, &Method::POST, &client)
}

/// GoTrue looks at the state before the method (recorded: `method-put-callback`).
pub(crate) async fn wrong_method(
    State(mock): State<Mock>,
    RawQuery(query): RawQuery,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let state = query_parameter(query.as_deref(), "state");
    match mock.database().find_external_flow(&state, mock.now()) {
        Ok(_) => StatusCode::METHOD_NOT_ALLOWED.into_response(),
        Err(error) => refuse_state(&mock, error, &headers, &method),
    }
}

/// Why a callback fails.
enum CallbackError {
    /// An error of GoTrue.
    Gotrue(GotrueError),
    /// An error that the provider has sent.
    Provider { error: String, description: String },
    /// The session of the person cannot begin.
    Session(GotrueError),
}

impl CallbackError {
    /// The headers of a session that a hook has refused.
    fn session_headers(&self) -> HeaderMap {
        match self {
            Self::Session(error) => error.session_headers(),
            _ => HeaderMap::new(),
        }
    }
}

impl TransactionError for CallbackError {
    fn commits(&self) -> bool {
        matches!(self, Self::Gotrue(error) if error.commits())
    }
}

impl From<GotrueError> for CallbackError {
    fn from(error: GotrueError) -> Self {
        Self::Gotrue(error)
    }
}

/// Where a callback leads to.
enum Arrival {
    /// The client exchanges this code for the session.
    Code(Uuid),
    /// The session, and the tokens of the provider.
    Session(SessionTokens, ProviderTokens),
}

fn answer(
    mock: &Mock,
    query: Option<&str>,
    headers: &HeaderMap,
    method: &Method,
    client: &ClientAddr,
) -> Response {
    let mut database = mock.database();
    let state = query_parameter(query, "state");
    let flow = match database.find_external_flow(&state, mock.now()) {
        Ok(flow) => flow,
        Err(error) => return refuse_state(mock, error, headers, method),
    };
    // The link of a confirmation mail leads to where the request comes from, not to the client's address.
    let origin = RequestOrigin { redirect: &Redirect::of(mock, query, headers), client };
    let to = &*flow.redirect_to;
    let arrived = database.transaction(|database| arrive(mock, database, query, &flow, &origin));
    match arrived {
        Ok(Arrival::Code(code)) => {
            let location = with_query(to, &[("code", &code.to_string())]);
            redirect(StatusCode::FOUND, &location, method, "")
        }
        Ok(Arrival::Session(tokens, provider)) => {
            let location = session_location(to, &tokens, provider);
            let mut response = redirect(StatusCode::FOUND, &location, method, "");
            tokens.insert_headers(response.headers_mut());
            response
        }
        Err(error) => {
            let headers = error.session_headers();
            let location = error_location(to, error);
            let mut response = redirect(StatusCode::FOUND, &location, method, "");
            response.headers_mut().extend(headers);
            response
        }
    }
}

/// Redirects to the site with the error. GoTrue also writes the error as JSON after the redirect's page.
fn refuse_state(mock: &Mock, error: GotrueError, headers: &HeaderMap, method: &Method) -> Response {
    let (status, code, message) = error.parts();
    let body = ApiVersion::from_headers(headers).body(status, code, message).to_string();
    let members = error_members(error.into());
    let members: Vec<_> = members.iter().map(|(name, value)| (*name, &**value)).collect();
    let location = with_query(&mock.settings().site_url, &members);
    redirect(StatusCode::SEE_OTHER, &location, method, &body)
}

/// Asks the provider who the person is, and signs the person in.
fn arrive(
    mock: &Mock,
    database: &mut Database,
    query: Option<&str>,
    flow: &ExternalFlow,
    origin: &RequestOrigin<'_>,
) -> Result<Arrival, CallbackError> {
    let error = query_parameter(query, "error");
    if !error.is_empty() {
        let description = query_parameter(query, "error_description");
        return Err(CallbackError::Provider { error, description });
    }
    let code = query_parameter(query, "code");
    if code.is_empty() {
        let message = "OAuth callback with missing authorization code missing";
        return Err(GotrueError::bad_request("bad_oauth_callback", message).into());
    }
    let external = exchange_code(mock, &code, &flow.provider)?;
    let user_id = find_user(mock, database, flow, &external, origin)?;
    let provider = ProviderTokens {
        access_token: format!("provider-token-of-{code}"),
        refresh_token: format!("provider-refresh-token-of-{code}"),
    };
    let row = database.flow_state_mut(flow.state);
    if let Some(row) = row
        && let Some(auth_code) = row.issue_code(mock.now())
    {
        (row.user_id, row.provider_tokens) = (Some(user_id), Some(provider));
        return Ok(Arrival::Code(auth_code));
    }
    let tokens = begin_session(mock, database, user_id, "oauth", UserView::Stored)
        .map_err(CallbackError::Session)?;
    database.flow_states.retain(|row| !row.has_state(flow.state));
    Ok(Arrival::Session(tokens, provider))
}

/// What the provider says about the person with this code.
fn exchange_code(mock: &Mock, code: &str, provider: &str) -> Result<ExternalIdentity, GotrueError> {
    let known = mock.settings().people.get(code).cloned();
    let by_email = || Some(code).filter(|code| code.contains('@')).map(Person::from_email);
    let person = known.or_else(by_email).ok_or_else(|| {
        let beginning: String = code.chars().take(4).collect();
        GotrueError::unexpected_failure(format!("Unable to exchange external code: {beginning}"))
    })?;
    if person.email.is_none() {
        let message = "Error getting user email from external provider";
        return Err(GotrueError::unexpected_failure(message));
    }
    Ok(person.into_identity(provider, &issuer(mock, provider)))
}

fn find_user(
    mock: &Mock,
    database: &mut Database,
    flow: &ExternalFlow,
    external: &ExternalIdentity,
    origin: &RequestOrigin<'_>,
) -> Result<Uuid, GotrueError> {
    if let Some(id) = flow.linking_user {
        let linked = linking::link(mock, database, id, external, origin);
        return linked.map(|linked| linked.user_id);
    }
    if !flow.invite_token.is_empty() {
        return linking::accept_invitation(mock, database, &flow.invite_token, external);
    }
    linking::sign_in(mock, database, external, origin).map(|signed_in| signed_in.user_id)
}

fn session_location(address: &str, tokens: &SessionTokens, provider: ProviderTokens) -> String {
    let mut members = tokens.redirect_members();
    members.push(("provider_refresh_token", provider.refresh_token));
    members.push(("provider_token", provider.access_token));
    members.sort();
    format!("{address}#{}", encoded(&members))
}

/// GoTrue's `redirectErrors`.
fn error_location(address: &str, error: CallbackError) -> String {
    let members = error_members(error);
    let pairs: Vec<_> = members.iter().map(|(name, value)| (*name, &**value)).collect();
    let mut in_fragment = pairs.clone();
    in_fragment.retain(|(_, value)| !value.is_empty());
    in_fragment.push(("sb", ""));
    with_fragment(&with_query(address, &pairs), &in_fragment)
}

fn error_members(error: CallbackError) -> Vec<(&'static str, String)> {
    let error = match error {
        CallbackError::Gotrue(error) => error,
        CallbackError::Provider { error, description } => {
            return vec![("error", error), ("error_description", description)];
        }
        // GoTrue turns every error of a new session into an `OAuthError`.
        CallbackError::Session(error) => {
            let (status, _, message) = error.parts();
            let description = format!("{}: {message}", status.as_u16());
            return vec![("error", "server_error".to_owned()), ("error_description", description)];
        }
    };
    let (_, code, message) = error.parts();
    let name = match code {
        "signup_disabled" | "user_banned" | "provider_email_needs_verification" => "access_denied",
        _ => oauth_error(&error).unwrap_or("server_error"),
    };
    let (code, message) = (code.to_owned(), message.to_owned());
    vec![("error", name.to_owned()), ("error_code", code), ("error_description", message)]
}
