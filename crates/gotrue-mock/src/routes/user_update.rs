//! `PUT /user`: a user's new password, metadata, e-mail address and phone number.
//!
//! 1. A user who sets a new password ends the user's other sessions (recorded: `user-password`). If
//!    the access token names no session, all sessions end (recorded: `ending-minted-password`).
//! 2. A new address must be confirmed by codes. Where addresses are confirmed at once, that is true
//!    of phone numbers, and of the first e-mail address of an anonymous user (recorded:
//!    `anonymous-convert`, `email-change-autoconfirm`).

use std::time::Duration;

use axum::{
    Json,
    extract::{RawQuery, State},
    http::HeaderMap,
};
use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    address_change::{change_email, change_phone, send_email_codes},
    audit_log::AuditAction,
    authentication::Caller,
    credentials::{check_channel, check_password, parse_email, parse_phone},
    database::Database,
    error::GotrueError,
    flow_state::{Challenge, FlowState},
    mailer::{self, Redirect},
    metadata::merge,
    mock::Mock,
    one_time_tokens::CodeKind,
    rate_limit_checks,
    rate_limits::LimitedRequest,
    request::parse_json_object,
    routes::{reauthenticate::use_nonce, user::user_not_found},
    session::Session,
    settings::Settings,
    user::{User, UserView},
    user_creation::email_exists,
};

/// How old a session may be to set a password without a code.
const SESSION_AGE_WITHOUT_NONCE: Duration = Duration::from_hours(24);

#[derive(Default, Deserialize)]
#[serde(default)]
struct UserUpdate {
    email: String,
    phone: String,
    password: Option<SecretString>,
    current_password: Option<SecretString>,
    nonce: String,
    data: Option<Map<String, Value>>,
    app_metadata: Option<Map<String, Value>>,
    channel: String,
    #[serde(flatten)]
    challenge: Challenge,
}

pub(crate) async fn update_user(
    State(mock): State<Mock>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, GotrueError> {
    Caller::authenticate(&mock, &mock.database(), &headers)?;
    LimitedRequest::UserUpdate.count(&mock, &headers)?;
    let mut database = mock.database();
    let caller = Caller::authenticate(&mock, &database, &headers)?;
    let mut update: UserUpdate = parse_json_object(&body, "UserUpdateParams")?;
    update.check(&database, &caller, mock.settings())?;
    update.check_password_rules(&mock, &mut database, &caller)?;
    let flow = update.prepare(&mock, &mut database, caller.user_id)?;
    let redirect = Redirect::of(&mock, query.as_deref(), &headers);
    database.transaction(|database| update.apply(&mock, database, caller, flow, &redirect))
}

impl UserUpdate {
    /// Makes the checks of GoTrue, in the same order, and sets the addresses as GoTrue stores them. An address that the
    /// user has already is dropped.
    fn check(
        &mut self,
        database: &Database,
        caller: &Caller,
        settings: &Settings,
    ) -> Result<(), GotrueError> {
        let user = database.user(caller.user_id).ok_or_else(user_not_found)?;
        if !self.email.is_empty() {
            self.email = parse_email(&self.email)?;
        }
        if !self.phone.is_empty() {
            self.phone = parse_phone(&self.phone)?;
            check_channel(&self.channel, settings)?;
        }
        if let Some(password) = &self.password {
            check_password(password.expose_secret(), settings)?;
        }
        if self.app_metadata.is_some() {
            let message = "Updating app_metadata requires admin privileges";
            return Err(GotrueError::forbidden("not_admin", message));
        }
        let has_new_email = !self.email.is_empty() && self.email != user.email();
        let has_new_phone = !self.phone.is_empty() && self.phone != user.phone();
        if self.password.is_some() || has_new_email || has_new_phone {
            user.check_credential_change(caller.session_id.and_then(|id| database.session(id)))?;
        }
        let is_unreachable = self.email.is_empty() && self.phone.is_empty();
        if user.is_anonymous && self.new_password().is_some() && is_unreachable {
            let message = "Updating password of an anonymous user without an email or phone is \
                           not allowed";
            return Err(GotrueError::unprocessable("validation_failed", message));
        }
        if self.email == user.email() {
            self.email.clear();
        }
        if self.phone == user.phone() {
            self.phone.clear();
        }
        self.check_unique(database, caller.user_id)
    }

    fn check_unique(&self, database: &Database, user_id: Uuid) -> Result<(), GotrueError> {
        let is_taken = || database.duplicated_email(&self.email, Some(user_id)).is_some();
        if !self.email.is_empty() && is_taken() {
            return Err(email_exists());
        }
        if !self.phone.is_empty() && database.user_by_phone(&self.phone).is_some() {
            let message = "A user with this phone number has already been registered";
            return Err(GotrueError::unprocessable("phone_exists", message));
        }
        Ok(())
    }

    fn new_password(&self) -> Option<&str> {
        self.password.as_ref().map(ExposeSecret::expose_secret).filter(|text| !text.is_empty())
    }

    /// The rules for a new password that depend on the session and the current password. Uses the nonce up even if a
    /// later rule refuses the password, as GoTrue does.
    fn check_password_rules(
        &self,
        mock: &Mock,
        database: &mut Database,
        caller: &Caller,
    ) -> Result<(), GotrueError> {
        if self.password.is_none() {
            return Ok(());
        }
        let session = caller.session_id.and_then(|id| database.session(id));
        let is_recovery = session.is_some_and(Session::is_recovery);
        let is_recent = session
            .is_some_and(|session| mock.now() <= session.created_at + SESSION_AGE_WITHOUT_NONCE);
        if mock.settings().requires_reauthentication && !is_recent {
            if self.nonce.is_empty() {
                let message = "Password update requires reauthentication";
                return Err(GotrueError::bad_request("reauthentication_needed", message));
            }
            use_nonce(mock, database, caller.user_id, &self.nonce)?;
        }
        let Some(password) = self.new_password() else { return Ok(()) };
        let user = database.user(caller.user_id).filter(|user| user.password.is_some());
        let Some(user) = user else { return Ok(()) };
        if mock.settings().requires_current_password && !is_recovery {
            self.check_current_password(user)?;
        }
        if user.has_password(password) {
            let message = "New password should be different from the old password.";
            return Err(GotrueError::unprocessable("same_password", message));
        }
        Ok(())
    }

    fn check_current_password(&self, user: &User) -> Result<(), GotrueError> {
        let current = self.current_password.as_ref().map(ExposeSecret::expose_secret);
        let code = match current.unwrap_or_default() {
            "" => "current_password_required",
            current if user.has_password(current) => return Ok(()),
            _ => "current_password_invalid",
        };
        // GoTrue has one message for both (recorded: `strict-current-wrong`).
        let message = "Current password required when setting new password.";
        Err(GotrueError::bad_request(code, message))
    }

    /// Does what can fail before anything changes, because GoTrue undoes all changes after an error. Returns the flow
    /// of a new e-mail address that is confirmed by PKCE.
    fn prepare(
        &self,
        mock: &Mock,
        database: &mut Database,
        user_id: Uuid,
    ) -> Result<Option<FlowState>, GotrueError> {
        if !self.phone.is_empty() && !mock.settings().confirms_phones {
            mailer::count_text_of_kind(
                mock,
                database,
                user_id,
                &self.phone,
                CodeKind::PhoneChange,
            )?;
        }
        if self.email.is_empty() {
            return Ok(None);
        }
        let user = database.user(user_id).ok_or_else(user_not_found)?;
        let (is_anonymous, sent_at) = (user.is_anonymous, user.email_change_sent_at());
        if !(is_anonymous && mock.settings().confirms_emails) {
            rate_limit_checks::count_mail(mock, database, sent_at)?;
        }
        if !self.challenge.is_given() {
            return Ok(None);
        }
        let (auth_code, challenge) = (database.new_uuid(), self.challenge.clone());
        FlowState::new(user_id, auth_code, "email_change", challenge, mock.now()).map(Some)
    }

    fn apply(
        self,
        mock: &Mock,
        database: &mut Database,
        Caller { user_id, session_id, .. }: Caller,
        flow: Option<FlowState>,
        redirect: &Redirect,
    ) -> Result<Json<Value>, GotrueError> {
        let now = mock.now();
        let user = database.user_mut(user_id).ok_or_else(user_not_found)?;
        let was_confirmed = user.email_confirmed_at.or(user.phone_confirmed_at).is_some();
        user.updated_at = now;
        if let Some(password) = self.password {
            database.set_password(user_id, password, now);
            database.delete_sessions_of(user_id, session_id);
            database.audit(user_id, AuditAction::UserUpdatedPassword, now);
        }
        if let Some(user) = database.user_mut(user_id) {
            merge(&mut user.user_metadata, self.data.unwrap_or_default());
        }
        if !self.email.is_empty() {
            begin_email_change(mock, database, user_id, &self.email, flow, redirect)?;
        }
        if !self.phone.is_empty() {
            begin_phone_change(mock, database, user_id, &self.phone)?;
        }
        database.audit(user_id, AuditAction::UserModified, now);
        let user = database.user(user_id).ok_or_else(user_not_found)?;
        let mut user = user.to_json(UserView::Stored);
        // `confirmed_at` is a generated column, which GoTrue does not read again (recorded: `anonymous-convert`).
        if let Some(members) = user.as_object_mut().filter(|_| !was_confirmed) {
            members.remove("confirmed_at");
        }
        Ok(Json(user))
    }
}

fn begin_email_change(
    mock: &Mock,
    database: &mut Database,
    user_id: Uuid,
    email: &str,
    flow: Option<FlowState>,
    redirect: &Redirect,
) -> Result<(), GotrueError> {
    let user = database.user_mut(user_id).ok_or_else(user_not_found)?;
    if user.is_anonymous && mock.settings().confirms_emails {
        user.email_change = Some(email.to_owned());
        return change_email(database, user_id, mock.now());
    }
    let is_pkce = flow.is_some();
    if let Some(flow) = flow {
        database.add_flow_state(flow);
    }
    send_email_codes(mock, database, user_id, email, redirect, is_pkce);
    Ok(())
}

fn begin_phone_change(
    mock: &Mock,
    database: &mut Database,
    user_id: Uuid,
    phone: &str,
) -> Result<(), GotrueError> {
    let user = database.user_mut(user_id).ok_or_else(user_not_found)?;
    user.phone_change = Some(phone.to_owned());
    if mock.settings().confirms_phones {
        return change_phone(database, user_id, mock.now());
    }
    mailer::send_counted_text(mock, database, user_id, phone, CodeKind::PhoneChange);
    Ok(())
}
