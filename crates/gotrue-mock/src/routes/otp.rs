//! `POST /otp` and `POST /magiclink`: sends a code by which a user signs in. A user who does not exist yet signs up.

use axum::{
    Json,
    extract::{RawQuery, State},
    http::HeaderMap,
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    audit_log::AuditAction,
    credentials::{channel_name, check_channel, new_password, parse_email, parse_phone},
    database::Database,
    error::GotrueError,
    flow_state::Challenge,
    mailer::{self, Redirect},
    mock::Mock,
    rate_limit_checks,
    rate_limits::LimitedRequest,
    request::{decode_json_object, parse_json_object},
    routes::sign_up::{Address, SignUp, SignedUp, create, sign_in},
    user::UserView,
};

#[derive(Deserialize)]
#[serde(default)]
struct Body {
    email: String,
    phone: String,
    create_user: bool,
    channel: String,
    data: Option<Map<String, Value>>,
    #[serde(flatten)]
    challenge: Challenge,
}

impl Default for Body {
    fn default() -> Self {
        Self {
            email: String::new(),
            phone: String::new(),
            create_user: true,
            channel: String::new(),
            data: None,
            challenge: Challenge::default(),
        }
    }
}

pub(crate) async fn otp(
    State(mock): State<Mock>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, GotrueError> {
    LimitedRequest::Otp.count(&mock, &headers)?;
    let body: Body = parse_json_object(&body, "OtpParams")?;
    let invalid = |message: &str| Err(GotrueError::bad_request("validation_failed", message));
    if !body.email.is_empty() && !body.phone.is_empty() {
        return invalid("Only an email address or phone number should be provided");
    }
    if !body.email.is_empty() && !body.channel.is_empty() {
        return invalid("Channel should only be specified with Phone OTP");
    }
    body.challenge.check()?;
    let mut database = mock.database();
    if !body.create_user && !body.names_a_user(&database) {
        let message = "Signups not allowed for otp";
        return Err(GotrueError::unprocessable("otp_disabled", message));
    }
    if !body.email.is_empty() {
        let redirect = Redirect::of(&mock, query.as_deref(), &headers);
        return by_email(&mock, &mut database, body, &redirect);
    }
    if !body.phone.is_empty() {
        return by_phone(&mock, &mut database, body);
    }
    invalid("One of email or phone must be set")
}

/// `POST /magiclink`: the older endpoint for a code by mail.
pub(crate) async fn magic_link(
    State(mock): State<Mock>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, GotrueError> {
    LimitedRequest::MagicLink.count(&mock, &headers)?;
    let body: Body = decode_json_object(&body, "MagicLinkParams")?;
    check_magic_links(&mock)?;
    if body.email.is_empty() {
        let message = "Password recovery requires an email";
        return Err(GotrueError::unprocessable("validation_failed", message));
    }
    let redirect = Redirect::of(&mock, query.as_deref(), &headers);
    by_email(&mock, &mut mock.database(), body, &redirect)
}

impl Body {
    /// Whether the address belongs to a user. A malformed address belongs to none (recorded:
    /// `otp-bad-email-not-created`).
    fn names_a_user(&self, database: &Database) -> bool {
        match (&*self.email, &*self.phone) {
            ("", "") => true,
            ("", phone) => {
                parse_phone(phone).is_ok_and(|phone| database.user_by_phone(&phone).is_some())
            }
            (email, _) => {
                parse_email(email).is_ok_and(|email| database.user_by_email(&email).is_some())
            }
        }
    }
}

fn check_magic_links(mock: &Mock) -> Result<(), GotrueError> {
    let message = if !mock.settings().allows_emails {
        "Email logins are disabled"
    } else if !mock.settings().sends_magic_links {
        "Login with magic link is disabled"
    } else {
        return Ok(());
    };
    Err(GotrueError::unprocessable("email_provider_disabled", message))
}

fn by_email(
    mock: &Mock,
    database: &mut Database,
    body: Body,
    redirect: &Redirect,
) -> Result<Json<Value>, GotrueError> {
    check_magic_links(mock)?;
    let (email, challenge) = (parse_email(&body.email)?, body.challenge);
    challenge.check()?;
    let known = database.user_by_email(&email).filter(|user| user.email_confirmed_at.is_some());
    let id = if let Some(user) = known {
        user.id
    } else {
        let sign_up = SignUp {
            address: Address::Email(email),
            password: new_password(database.rng()),
            channel: channel_name(&body.channel),
            data: body.data.unwrap_or_default(),
            challenge: challenge.clone(),
        };
        match sign_up_by_code(mock, database, &sign_up, redirect)? {
            Some(id) => id,
            None => return Ok(Json(json!({}))),
        }
    };
    database.begin_pkce(id, "magiclink", &challenge, mock.now())?;
    let sent_at = database.user(id).and_then(|user| user.recovery_sent_at);
    rate_limit_checks::count_mail(mock, database, sent_at)?;
    database.audit(id, AuditAction::UserRecoveryRequested, mock.now());
    mailer::send_magic_link(mock, database, id, redirect, challenge.is_given());
    Ok(Json(json!({})))
}

fn by_phone(mock: &Mock, database: &mut Database, body: Body) -> Result<Json<Value>, GotrueError> {
    if !mock.settings().allows_phones {
        let message = "Unsupported phone provider";
        return Err(GotrueError::bad_request("phone_provider_disabled", message));
    }
    let phone = parse_phone(&body.phone)?;
    check_channel(&body.channel, mock.settings())?;
    let known = database.user_by_phone(&phone).filter(|user| user.phone_confirmed_at.is_some());
    let id = if let Some(user) = known {
        user.id
    } else {
        let sign_up = SignUp {
            address: Address::Phone(phone.clone()),
            password: new_password(database.rng()),
            channel: channel_name(&body.channel),
            data: body.data.unwrap_or_default(),
            challenge: Challenge::default(),
        };
        match sign_up_by_code(mock, database, &sign_up, &Redirect::to_site(mock))? {
            Some(id) => id,
            None => return Ok(Json(json!({}))),
        }
    };
    let message_id = mailer::send_text(mock, database, id, &phone)?;
    let traits = json!({ "channel": channel_name(&body.channel) });
    database.audit(id, AuditAction::UserRecoveryRequested.with(traits), mock.now());
    Ok(mailer::text_response(message_id))
}

/// Signs a user up. If the address is confirmed at once, returns the user, to whom the caller sends the code. Otherwise
/// returns `None`: the message of the sign-up has the code.
fn sign_up_by_code(
    mock: &Mock,
    database: &mut Database,
    sign_up: &SignUp,
    redirect: &Redirect,
) -> Result<Option<Uuid>, GotrueError> {
    mock.settings().check_sign_ups_allowed()?;
    let SignedUp::Confirmed(id) = create(mock, database, sign_up, redirect)? else {
        return Ok(None);
    };
    // GoTrue signs the new user in, and does not send the session (recorded: `otp-autoconfirm-new`).
    let begun = database
        .transaction(|database| sign_in(mock, database, id, &sign_up.address, UserView::Stored));
    begun.map(|_| Some(id)).map_err(GotrueError::without_session)
}
