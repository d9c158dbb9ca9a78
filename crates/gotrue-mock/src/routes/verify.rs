//! `GET` and `POST /verify`: exchanges the code, the token hash or the link of a message for a session.

use axum::{
    Json,
    extract::{RawQuery, State},
    http::{HeaderMap, Method, StatusCode},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use crate::{
    accepted::Accepted,
    credentials::{parse_email, parse_phone},
    database::Database,
    error::GotrueError,
    mailer::Redirect,
    mock::Mock,
    one_time_tokens::{CodeKind, PKCE_PREFIX},
    rate_limits::LimitedRequest,
    redirect::{encoded, oauth_error, redirect, with_fragment, with_query},
    request::{parse_json_object, query_parameter},
    session_response::{SessionTokens, begin_session},
    user::UserView,
    verification::{Verification, VerificationType},
};

/// The message after the first of two codes for a new e-mail address.
const FIRST_OF_TWO: &str =
    "Confirmation link accepted. Please proceed to confirm link sent to the other email";

#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    #[serde(rename = "type")]
    kind: String,
    token: String,
    token_hash: String,
    email: String,
    phone: String,
    redirect_to: String,
}

/// A code with its address, or a token hash.
pub(crate) async fn verify(
    State(mock): State<Mock>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, GotrueError> {
    LimitedRequest::Verify.count(&mock, &headers)?;
    let body: Body = parse_json_object(&body, "VerifyParams")?;
    let verification = body.check()?;
    let mut database = mock.database();
    database.transaction(|database| {
        match verification.accept(database, mock.settings(), mock.now())? {
            Accepted::User { id, .. } => {
                Ok(begin_session(&mock, database, id, "otp", UserView::Stored)?.into_response())
            }
            // GoTrue writes the status as a text (recorded: `email-change-first`).
            Accepted::FirstOfTwo => {
                Ok(Json(json!({ "code": "200", "msg": FIRST_OF_TWO })).into_response())
            }
        }
    })
}

impl Body {
    fn check(&self) -> Result<Verification, GotrueError> {
        let invalid = |message: &str| GotrueError::bad_request("validation_failed", message);
        if self.kind.is_empty() {
            return Err(invalid("Verify requires a verification type"));
        }
        if self.token.is_empty() == self.token_hash.is_empty() {
            return Err(invalid("Verify requires either a token or a token hash"));
        }
        let kind = VerificationType::parse(&self.kind);
        if !self.token_hash.is_empty() {
            if !self.email.is_empty() || !self.phone.is_empty() || !self.redirect_to.is_empty() {
                return Err(invalid("Only the token_hash and type should be provided"));
            }
            return Ok(Verification::by_hash(kind, &self.token_hash));
        }
        match (&*self.email, &*self.phone) {
            ("", phone) if !phone.is_empty() => {
                Ok(Verification::by_phone(kind, &parse_phone(phone)?, &self.token))
            }
            (email, "") if !email.is_empty() => {
                let email = parse_email(email).map_err(|_| {
                    GotrueError::unprocessable("validation_failed", "Invalid email format")
                })?;
                Ok(Verification::by_email(kind, &email, &self.token))
            }
            _ => Err(invalid("Only an email address or phone number should be provided on verify")),
        }
    }
}

/// A link. The answer is always a redirect to the site, with the session or the error.
pub(crate) async fn verify_link(
    State(mock): State<Mock>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, GotrueError> {
    LimitedRequest::Verify.count(&mock, &headers)?;
    let query = query.as_deref();
    let (kind, token) = (query_parameter(query, "type"), query_parameter(query, "token"));
    let invalid = |message: &str| GotrueError::bad_request("validation_failed", message);
    if kind.is_empty() {
        return Err(invalid("Verify requires a verification type"));
    }
    if token.is_empty() {
        return Err(invalid("Verify requires a token or a token hash"));
    }
    let leads_to = Redirect::of(&mock, query, &headers);
    let is_pkce = token.starts_with(PKCE_PREFIX);
    let method = VerificationType::authentication_method(&kind);
    if is_pkce && method.is_none() {
        return Err(GotrueError::unexpected());
    }
    let verification = Verification::by_hash(VerificationType::parse(&kind), &token);
    let pkce_method = method.filter(|_| is_pkce);
    let mut database = mock.database();
    let opened = database.transaction(|database| open(&mock, database, &verification, pkce_method));
    let (to, mut headers) = (leads_to.as_str(), HeaderMap::new());
    let location = match opened {
        Err(error) => {
            headers = error.session_headers();
            error_location(to, &error, is_pkce)
        }
        Ok(Opened::FirstOfTwo) => first_of_two_location(to, is_pkce),
        Ok(Opened::Code(code)) => with_query(to, &[("code", &code.to_string())]),
        Ok(Opened::Session(tokens, code)) => {
            tokens.insert_headers(&mut headers);
            session_location(to, &tokens, link_type(&kind, code))
        }
    };
    let mut response = redirect(StatusCode::SEE_OTHER, &location, &Method::GET, "");
    response.headers_mut().extend(headers);
    Ok(response)
}

/// What the link of a mail brings.
enum Opened {
    FirstOfTwo,
    /// The client exchanges this code for the session.
    Code(Uuid),
    /// The session, and the kind of the code that matched.
    Session(SessionTokens, CodeKind),
}

/// Uses the link up. `pkce_method` is the authentication method of a link whose session the client fetches by PKCE.
fn open(
    mock: &Mock,
    database: &mut Database,
    verification: &Verification,
    pkce_method: Option<&str>,
) -> Result<Opened, GotrueError> {
    let (id, code) = match verification.accept(database, mock.settings(), mock.now())? {
        Accepted::FirstOfTwo => return Ok(Opened::FirstOfTwo),
        Accepted::User { id, code } => (id, code),
    };
    let Some(method) = pkce_method else {
        let tokens = begin_session(mock, database, id, "otp", UserView::Stored)?;
        return Ok(Opened::Session(tokens, code));
    };
    let mut flows = database.flow_states.iter_mut().rev();
    let flow = flows.find(|flow| flow.user_id == Some(id) && flow.authentication_method == method);
    let code = flow.and_then(|flow| flow.issue_code(mock.now()));
    code.map(Opened::Code).ok_or_else(|| {
        let message = "No associated flow state found. 422: No valid flow state found for user.";
        GotrueError::bad_request("flow_state_not_found", message)
    })
}

/// The `type` to which a link leads back. Of `email`, GoTrue names what the code was for (recorded:
/// `verify-link-type-email`).
fn link_type(requested: &str, code: CodeKind) -> &str {
    match (requested, code) {
        ("email", CodeKind::Recovery) => "magiclink",
        ("email", _) => "signup",
        (requested, _) => requested,
    }
}

fn first_of_two_location(address: &str, is_pkce: bool) -> String {
    let message = ("message", FIRST_OF_TWO);
    let in_query: &[_] = if is_pkce { &[message] } else { &[] };
    with_fragment(&with_query(address, in_query), &[message, ("sb", "")])
}

/// The session in the fragment, after one that the address has.
fn session_location(address: &str, tokens: &SessionTokens, kind: &str) -> String {
    let mut members = tokens.redirect_members();
    members.push(("type", kind.to_owned()));
    members.sort();
    format!("{address}#{}", encoded(&members))
}

/// GoTrue's `prepErrorRedirectURL`.
fn error_location(address: &str, error: &GotrueError, is_pkce: bool) -> String {
    let (_, _, message) = error.parts();
    let mut members = vec![("error_code", error.own_code()), ("error_description", message)];
    members.extend(oauth_error(error).map(|name| ("error", name)));
    let address = if is_pkce { with_query(address, &members) } else { address.to_owned() };
    members.push(("sb", ""));
    members.sort_unstable();
    with_fragment(&address, &members)
}
