//! `POST /signup`: a new user by e-mail address, phone number, or anonymous.

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
    credentials::{check_password, parse_email, parse_phone},
    database::{Database, add_identity},
    error::GotrueError,
    flow_state::{Challenge, FlowState},
    mailer::{self, Redirect},
    mock::Mock,
    rate_limits::{self, LimitedRequest},
    request::parse_json_object,
    session_response::begin_session,
    user::{User, UserView},
};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    email: String,
    phone: String,
    password: String,
    data: Option<Map<String, Value>>,
    code_challenge: String,
    code_challenge_method: String,
}

/// A sign-up whose form is valid.
pub(crate) struct SignUp {
    pub(crate) address: Address,
    pub(crate) password: String,
    pub(crate) data: Map<String, Value>,
    pub(crate) challenge: Challenge,
}

/// How a user can be reached.
#[derive(Clone, Debug)]
pub(crate) enum Address {
    /// In lower case.
    Email(String),
    /// Digits only.
    Phone(String),
}

/// What a sign-up did.
pub(crate) enum SignedUp {
    /// The user was confirmed at once.
    Confirmed(Uuid),
    /// A mail or a text message was sent.
    ToConfirm(Uuid),
    /// The address belongs to a confirmed user.
    Exists,
}

pub(crate) async fn sign_up(
    State(mock): State<Mock>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, GotrueError> {
    let given: Body = parse_json_object(&body, "SignupParams")?;
    let data = given.data.unwrap_or_default();
    if given.email.is_empty() && given.phone.is_empty() {
        if !mock.settings().allows_anonymous_users {
            let message = "Anonymous sign-ins are disabled";
            return Err(GotrueError::unprocessable("anonymous_provider_disabled", message));
        }
        LimitedRequest::AnonymousSignUp.check(&mock, &headers)?;
        return sign_up_anonymously(&mock, data);
    }
    LimitedRequest::SignUp.check(&mock, &headers)?;
    check_allowed(&mock)?;
    let challenge =
        Challenge { challenge: given.code_challenge, method: given.code_challenge_method };
    if given.password.is_empty() {
        let message = "Signup requires a valid password";
        return Err(GotrueError::bad_request("validation_failed", message));
    }
    check_password(&given.password, mock.settings())?;
    let invalid = |message: &str| Err(GotrueError::bad_request("validation_failed", message));
    if !given.email.is_empty() && !given.phone.is_empty() {
        return invalid("Only an email address or phone number should be provided on signup.");
    }
    if !given.phone.is_empty() && challenge.is_given() {
        return invalid("PKCE not supported for phone signups");
    }
    challenge.check()?;
    let disabled = |code, what| Err(GotrueError::bad_request(code, format!("{what} are disabled")));
    if given.email.is_empty() && !mock.settings().allows_phones {
        return disabled("phone_provider_disabled", "Phone signups");
    }
    if !given.email.is_empty() && !mock.settings().allows_emails {
        return disabled("email_provider_disabled", "Email signups");
    }
    let address = if given.email.is_empty() {
        Address::Phone(parse_phone(&given.phone)?)
    } else {
        Address::Email(parse_email(&given.email)?)
    };
    let sign_up = SignUp { address, password: given.password, data, challenge };
    let redirect = Redirect::of(&mock, query.as_deref(), &headers);
    let mut database = mock.database();
    match create(&mock, &mut database, &sign_up, &redirect)? {
        SignedUp::Confirmed(id) => {
            let tokens = begin_session(&mock, &mut database, id, "password", UserView::JustCreated);
            Ok(tokens?.into_response())
        }
        SignedUp::ToConfirm(id) => {
            let mut user = database.user(id).cloned().ok_or_else(GotrueError::unexpected)?;
            // The reply does not show a stranger the metadata of an invited user (recorded: `invited-sign-up`).
            if user.invited_at.is_some() {
                user.user_metadata.clear();
                user.identities.clear();
            }
            Ok(Json(user.to_json(UserView::JustCreated)).into_response())
        }
        SignedUp::Exists if confirms_any(&mock) => {
            Err(GotrueError::unprocessable("user_already_exists", "User already registered"))
        }
        SignedUp::Exists => {
            let invented = invented_user(&mut database, sign_up, &mock);
            Ok(Json(invented.to_json(UserView::JustCreated)).into_response())
        }
    }
}

fn check_allowed(mock: &Mock) -> Result<(), GotrueError> {
    let message = "Signups not allowed for this instance";
    let refused = || GotrueError::unprocessable("signup_disabled", message);
    mock.settings().allows_sign_ups.then_some(()).ok_or_else(refused)
}

fn sign_up_anonymously(mock: &Mock, data: Map<String, Value>) -> Result<Response, GotrueError> {
    check_allowed(mock)?;
    let mut database = mock.database();
    let id = database.create_user(None, String::new().into(), data, mock.now());
    let tokens = begin_session(mock, &mut database, id, "anonymous", UserView::JustCreated)?;
    Ok(tokens.into_response())
}

/// Where one kind of address is confirmed without a message, GoTrue does not hide whether an address is known.
fn confirms_any(mock: &Mock) -> bool {
    mock.settings().confirms_emails || mock.settings().confirms_phones
}

/// Creates the user, or finds the unconfirmed one of the same address, and confirms the address or sends a code. An error
/// changes no row, because GoTrue does this in one transaction (recorded: `signup-method-unknown`).
pub(crate) fn create(
    mock: &Mock,
    database: &mut Database,
    sign_up: &SignUp,
    redirect: &Redirect,
) -> Result<SignedUp, GotrueError> {
    let before = sign_up.address.find(database).cloned();
    let flows = database.flow_states.len();
    let result = create_rows(mock, database, sign_up, redirect);
    if result.is_err() {
        database.flow_states.truncate(flows);
        let created = sign_up.address.find(database).map(|user| user.id);
        match (before, created) {
            (Some(user), _) => database.insert_user(user),
            (None, Some(id)) => drop(database.delete_user(id)),
            (None, None) => {}
        }
    }
    result
}

fn create_rows(
    mock: &Mock,
    database: &mut Database,
    sign_up: &SignUp,
    redirect: &Redirect,
) -> Result<SignedUp, GotrueError> {
    let now = mock.now();
    let known = sign_up.address.find(database);
    let is_confirmed = |user: &User| match sign_up.address {
        Address::Email(_) => user.email_confirmed_at.is_some(),
        Address::Phone(_) => user.phone_confirmed_at.is_some(),
    };
    let (id, provider) = match known {
        Some(user) if is_confirmed(user) => return Ok(SignedUp::Exists),
        // The password and the metadata are not taken: nobody knows yet whose address it is.
        Some(user) => (user.id, sign_up.address.provider()),
        None => (insert_new(database, sign_up, now), sign_up.address.provider()),
    };
    ensure_identity(database, id, provider, &sign_up.data, now);
    let settings = mock.settings();
    match &sign_up.address {
        Address::Email(_) if settings.confirms_emails => {
            if let Some(user) = database.user_mut(id) {
                user.confirm_email(now);
            }
            Ok(SignedUp::Confirmed(id))
        }
        Address::Phone(_) if settings.confirms_phones => {
            if let Some(user) = database.user_mut(id) {
                user.confirm_phone(now);
            }
            Ok(SignedUp::Confirmed(id))
        }
        Address::Email(_) => {
            if sign_up.challenge.is_given() {
                let auth_code = database.new_uuid();
                let challenge = sign_up.challenge.clone();
                let flow = FlowState::new(id, auth_code, "email/signup", challenge, now)?;
                database.flow_states.push(flow);
            }
            let sent_at = database.user(id).and_then(|user| user.confirmation_sent_at);
            rate_limits::check_mail(mock, database, sent_at)?;
            mailer::send_confirmation(mock, database, id, redirect, sign_up.challenge.is_given());
            Ok(SignedUp::ToConfirm(id))
        }
        Address::Phone(phone) => {
            mailer::send_text(mock, database, id, phone)?;
            Ok(SignedUp::ToConfirm(id))
        }
    }
}

impl Address {
    fn find<'a>(&self, database: &'a Database) -> Option<&'a User> {
        match self {
            Self::Email(email) => database.user_by_email(email),
            Self::Phone(phone) => database.user_by_phone(phone),
        }
    }

    fn provider(&self) -> &'static str {
        match self {
            Self::Email(_) => "email",
            Self::Phone(_) => "phone",
        }
    }
}

fn insert_new(database: &mut Database, sign_up: &SignUp, now: std::time::SystemTime) -> Uuid {
    let mut user = User::new(database.new_uuid(), now);
    match &sign_up.address {
        Address::Email(email) => user.email = Some(email.clone()),
        Address::Phone(phone) => user.phone = Some(phone.clone()),
    }
    user.password = Some(sign_up.password.clone().into());
    let id = user.id;
    database.insert_user(user);
    id
}

fn ensure_identity(
    database: &mut Database,
    id: Uuid,
    provider: &str,
    data: &Map<String, Value>,
    now: std::time::SystemTime,
) {
    let identity = database.new_identity(id, provider, now);
    if let Some(user) = database.user_mut(id)
        && user.identity(provider).is_none()
    {
        user.user_metadata.clone_from(data);
        add_identity(user, identity);
    }
}

/// GoTrue's `sanitizeUser`: a repeated sign-up gets a user that does not exist, so that nobody learns which addresses are
/// known.
fn invented_user(database: &mut Database, sign_up: SignUp, mock: &Mock) -> User {
    let now = mock.now();
    let mut user = User::new(database.new_uuid(), now);
    user.role = String::new();
    user.confirmation_sent_at = Some(now);
    let provider = sign_up.address.provider();
    user.app_metadata.insert("provider".to_owned(), json!(provider));
    user.app_metadata.insert("providers".to_owned(), json!([provider]));
    user.user_metadata = sign_up.data;
    match sign_up.address {
        Address::Email(email) => user.email = Some(email),
        Address::Phone(phone) => user.phone = Some(phone),
    }
    user
}
