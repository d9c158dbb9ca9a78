//! `POST /recover` and `POST /resend`: mails for a new password, and codes again.

use axum::{
    Json,
    extract::{RawQuery, State},
    http::HeaderMap,
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    address_change::send_email_codes,
    audit_log::AuditAction,
    credentials::{parse_email, parse_phone},
    database::Database,
    error::GotrueError,
    flow_state::Challenge,
    mailer::{self, Redirect},
    mock::Mock,
    one_time_tokens::CodeKind,
    rate_limit_checks,
    rate_limits::LimitedRequest,
    request::parse_json_object,
    settings::Settings,
    user::User,
};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    #[serde(rename = "type")]
    kind: String,
    email: String,
    phone: String,
    #[serde(flatten)]
    challenge: Challenge,
}

impl Body {
    /// GoTrue's checks of a request to send a code again, in the same order. Sets the addresses as GoTrue stores them.
    fn check_resend(&mut self, settings: &Settings) -> Result<(), GotrueError> {
        let invalid = |message: &str| Err(GotrueError::bad_request("validation_failed", message));
        match &*self.kind {
            "signup" | "email_change" => self.challenge.check()?,
            "sms" | "phone_change" => {}
            _ => {
                return invalid(
                    "Missing one of these types: signup, email_change, sms, phone_change",
                );
            }
        }
        if self.email.is_empty() && self.kind == "signup" {
            return invalid("Type provided requires an email address");
        }
        if self.phone.is_empty() && self.kind == "sms" {
            return invalid("Type provided requires a phone number");
        }
        match (&*self.email, &*self.phone) {
            ("", "") => return invalid("Missing email address or phone number"),
            ("", _) if !settings.allows_phones => {
                return Err(disabled("phone_provider_disabled", "Phone"));
            }
            (_, "") if !settings.allows_emails => {
                return Err(disabled("email_provider_disabled", "Email"));
            }
            ("", phone) => self.phone = parse_phone(phone)?,
            (email, "") => self.email = parse_email(email)?,
            _ => return invalid("Only an email address or phone number should be provided."),
        }
        Ok(())
    }
}

fn disabled(code: &'static str, what: &str) -> GotrueError {
    GotrueError::bad_request(code, format!("{what} logins are disabled"))
}

/// Sends a mail for a new password. If no user has the address, the response is the same.
pub(crate) async fn recover(
    State(mock): State<Mock>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, GotrueError> {
    LimitedRequest::Recover.count(&mock, &headers)?;
    if !mock.settings().allows_emails {
        return Err(disabled("email_provider_disabled", "Email"));
    }
    let body: Body = parse_json_object(&body, "RecoverParams")?;
    if body.email.is_empty() {
        let message = "Password recovery requires an email";
        return Err(GotrueError::bad_request("validation_failed", message));
    }
    let (email, challenge) = (parse_email(&body.email)?, body.challenge);
    challenge.check()?;
    let mut database = mock.database();
    let Some(id) = database.user_by_email(&email).map(|user| user.id) else {
        return Ok(Json(json!({})));
    };
    database.begin_pkce(id, "recovery", &challenge, mock.now())?;
    let sent_at = database.user(id).and_then(|user| user.recovery_sent_at);
    rate_limit_checks::count_mail(&mock, &mut database, sent_at)?;
    let redirect = Redirect::of(&mock, query.as_deref(), &headers);
    database.audit(id, AuditAction::UserRecoveryRequested, mock.now());
    mailer::send_recovery(&mock, &mut database, id, &redirect, challenge.is_given());
    Ok(Json(json!({})))
}

/// Sends a code again whose address is not confirmed yet. If no user waits for such a code, the response is an empty
/// object.
pub(crate) async fn resend(
    State(mock): State<Mock>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, GotrueError> {
    LimitedRequest::Resend.count(&mock, &headers)?;
    let mut body: Body = parse_json_object(&body, "ResendConfirmationParams")?;
    body.check_resend(mock.settings())?;
    let mut database = mock.database();
    let user = if body.email.is_empty() {
        database.user_by_phone(&body.phone)
    } else {
        database.user_by_email(&body.email)
    };
    let Some(user) = user else { return Ok(Json(json!({}))) };
    let (id, email_confirmed, phone_confirmed) =
        (user.id, user.email_confirmed_at.is_some(), user.phone_confirmed_at.is_some());
    let redirect = Redirect::of(&mock, query.as_deref(), &headers);
    let challenge = &body.challenge;
    // The flow state does not stay if a rate limit refuses the mail.
    database.transaction(|database| match &*body.kind {
        "signup" if !email_confirmed => {
            resend_confirmation(&mock, database, id, challenge, &redirect)
        }
        "sms" if !phone_confirmed => {
            database.audit(id, AuditAction::UserRecoveryRequested, mock.now());
            let message_id = mailer::send_text(&mock, database, id, &body.phone)?;
            Ok(mailer::text_response(message_id))
        }
        "email_change" => resend_email_change(&mock, database, id, challenge, &redirect),
        "phone_change" => resend_phone_change(&mock, database, id),
        _ => Ok(Json(json!({}))),
    })
}

fn resend_confirmation(
    mock: &Mock,
    database: &mut Database,
    user_id: Uuid,
    challenge: &Challenge,
    redirect: &Redirect,
) -> Result<Json<Value>, GotrueError> {
    database.audit(user_id, AuditAction::UserConfirmationRequested, mock.now());
    database.begin_pkce(user_id, "email/signup", challenge, mock.now())?;
    let sent_at = database.user(user_id).and_then(|user| user.confirmation_sent_at);
    rate_limit_checks::count_mail(mock, database, sent_at)?;
    mailer::send_confirmation(mock, database, user_id, redirect, challenge.is_given());
    Ok(Json(json!({})))
}

fn resend_email_change(
    mock: &Mock,
    database: &mut Database,
    user_id: Uuid,
    challenge: &Challenge,
    redirect: &Redirect,
) -> Result<Json<Value>, GotrueError> {
    let new_email = database.user(user_id).and_then(|user| user.email_change.clone());
    let Some(new_email) = new_email else { return Ok(Json(json!({}))) };
    database.begin_pkce(user_id, "email_change", challenge, mock.now())?;
    let sent_at = database.user(user_id).and_then(User::email_change_sent_at);
    rate_limit_checks::count_mail(mock, database, sent_at)?;
    send_email_codes(mock, database, user_id, &new_email, redirect, challenge.is_given());
    Ok(Json(json!({})))
}

fn resend_phone_change(
    mock: &Mock,
    database: &mut Database,
    user_id: Uuid,
) -> Result<Json<Value>, GotrueError> {
    let new_phone = database.user(user_id).and_then(|user| user.phone_change.clone());
    let Some(new_phone) = new_phone else { return Ok(Json(json!({}))) };
    let kind = CodeKind::PhoneChange;
    let message_id = mailer::send_text_of_kind(mock, database, user_id, &new_phone, kind)?;
    Ok(mailer::text_response(message_id))
}
