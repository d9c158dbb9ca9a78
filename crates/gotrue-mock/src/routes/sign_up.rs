//! `POST /signup`: a new user by e-mail address, phone number, or anonymous.

mod creation;

pub(crate) use creation::{Address, SignUp, SignedUp, create};

use std::time::SystemTime;

use axum::{
    Json,
    extract::{RawQuery, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    audit_log::AuditAction,
    credentials::{channel_name, check_channel, check_password, parse_email, parse_phone},
    database::Database,
    error::GotrueError,
    flow_state::Challenge,
    mailer::Redirect,
    mock::Mock,
    rate_limits::LimitedRequest,
    request::parse_json_object,
    session_response::{SessionTokens, begin_session},
    settings::Settings,
    user::{User, UserView},
};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    email: String,
    phone: String,
    password: String,
    channel: String,
    data: Option<Map<String, Value>>,
    #[serde(flatten)]
    challenge: Challenge,
}

pub(crate) async fn sign_up(
    State(mock): State<Mock>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, GotrueError> {
    let given: Body = parse_json_object(&body, "SignupParams")?;
    if given.email.is_empty() && given.phone.is_empty() {
        if !mock.settings().allows_anonymous_users {
            let message = "Anonymous sign-ins are disabled";
            return Err(GotrueError::unprocessable("anonymous_provider_disabled", message));
        }
        LimitedRequest::AnonymousSignUp.count(&mock, &headers)?;
        return sign_up_anonymously(&mock, given.data.unwrap_or_default());
    }
    LimitedRequest::SignUp.count(&mock, &headers)?;
    mock.settings().check_sign_ups_allowed()?;
    let sign_up = given.check(mock.settings())?;
    let redirect = Redirect::of(&mock, query.as_deref(), &headers);
    let mut database = mock.database();
    let signed_up = create(&mock, &mut database, &sign_up, &redirect)?;
    answer(&mock, &mut database, sign_up, &signed_up)
}

impl Body {
    /// GoTrue's checks, in the same order.
    fn check(self, settings: &Settings) -> Result<SignUp, GotrueError> {
        let invalid = |message: &str| GotrueError::bad_request("validation_failed", message);
        let (email, phone) = (&*self.email, &*self.phone);
        let challenge = self.challenge;
        if self.password.is_empty() {
            return Err(invalid("Signup requires a valid password"));
        }
        check_password(&self.password, settings)?;
        if !email.is_empty() && !phone.is_empty() {
            let message = "Only an email address or phone number should be provided on signup.";
            return Err(invalid(message));
        }
        if email.is_empty() {
            check_channel(&self.channel, settings)?;
        }
        if !phone.is_empty() && challenge.is_given() {
            return Err(invalid("PKCE not supported for phone signups"));
        }
        challenge.check()?;
        let disabled = |code, what| GotrueError::bad_request(code, format!("{what} are disabled"));
        let address = if !email.is_empty() {
            if !settings.allows_emails {
                return Err(disabled("email_provider_disabled", "Email signups"));
            }
            Address::Email(parse_email(email)?)
        } else if settings.allows_phones {
            Address::Phone(parse_phone(phone)?)
        } else {
            return Err(disabled("phone_provider_disabled", "Phone signups"));
        };
        let data = self.data.unwrap_or_default();
        let channel = channel_name(&self.channel);
        Ok(SignUp { address, password: self.password, channel, data, challenge })
    }
}

fn answer(
    mock: &Mock,
    database: &mut Database,
    sign_up: SignUp,
    signed_up: &SignedUp,
) -> Result<Response, GotrueError> {
    match *signed_up {
        SignedUp::Confirmed(id) => {
            let tokens = database.transaction(|database| {
                sign_in(mock, database, id, &sign_up.address, UserView::JustCreated)
            });
            Ok(tokens?.into_response())
        }
        SignedUp::ToConfirm(id) => {
            let mut user = database.user(id).cloned().ok_or_else(GotrueError::unexpected)?;
            // An invited address may belong to another person: the response has no metadata (recorded:
            // `invited-sign-up`).
            if user.invited_at.is_some() {
                user.user_metadata.clear();
                user.identities.clear();
            }
            Ok(Json(user.to_json(UserView::JustCreated)).into_response())
        }
        SignedUp::Exists(_) if confirms_any(mock) => {
            Err(GotrueError::unprocessable("user_already_exists", "User already registered"))
        }
        SignedUp::Exists(id) => {
            let known = database.user(id).cloned().ok_or_else(GotrueError::unexpected)?;
            let invented = invented_user(known, database.new_uuid(), sign_up, mock.now());
            Ok(Json(invented.to_json(UserView::JustCreated)).into_response())
        }
    }
}

/// Signs in a user whose address a sign-up has confirmed at once. The caller runs this in a transaction.
pub(crate) fn sign_in(
    mock: &Mock,
    database: &mut Database,
    user_id: Uuid,
    address: &Address,
    view: UserView,
) -> Result<SessionTokens, GotrueError> {
    let login = AuditAction::Login.with(json!({ "provider": address.provider() }));
    database.audit(user_id, login, mock.now());
    begin_session(mock, database, user_id, "password", view)
}

fn sign_up_anonymously(mock: &Mock, data: Map<String, Value>) -> Result<Response, GotrueError> {
    mock.settings().check_sign_ups_allowed()?;
    let mut database = mock.database();
    let tokens = database.transaction(|database| {
        let id = database.create_user(None, String::new().into(), data, mock.now());
        begin_session(mock, database, id, "anonymous", UserView::JustCreated)
    });
    // GoTrue has one message for every error, and the headers of the session are set already.
    tokens.map(IntoResponse::into_response).map_err(|error| {
        GotrueError::unexpected_failure("Database error creating anonymous user")
            .with_headers_of(error)
    })
}

/// Whether the settings confirm addresses of one kind without a message. Then GoTrue does not hide which addresses are
/// known.
fn confirms_any(mock: &Mock) -> bool {
    mock.settings().confirms_emails || mock.settings().confirms_phones
}

/// GoTrue's `sanitizeUser`: the response to a repeated sign-up shows a user that does not exist, so that it does not
/// show which addresses are known. Columns that GoTrue does not replace are those of the known user.
fn invented_user(known: User, id: Uuid, sign_up: SignUp, now: SystemTime) -> User {
    let provider = sign_up.address.provider();
    let app_metadata = [("provider", json!(provider)), ("providers", json!([provider]))]
        .map(|(name, value)| (name.to_owned(), value));
    let mut user = User {
        id,
        role: String::new(),
        email_change: None,
        confirmation_sent_at: Some(now),
        last_sign_in_at: None,
        email_confirmed_at: None,
        phone_confirmed_at: None,
        identities: Vec::new(),
        user_metadata: sign_up.data,
        app_metadata: app_metadata.into_iter().collect(),
        created_at: now,
        updated_at: now,
        ..known
    };
    user.codes.clear_email_change();
    match sign_up.address {
        Address::Email(_) => user.phone = None,
        Address::Phone(_) => user.email = None,
    }
    user
}
