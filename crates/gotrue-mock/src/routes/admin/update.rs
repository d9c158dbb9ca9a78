//! `PUT /admin/users/{id}`: changes a user at once, without a mail.
//!
//! 1. A new password ends all sessions of the user (recorded: `admin-password`).
//! 2. The response shows the user as it was read before the change, apart from the changed columns: `confirmed_at` and
//!    the identities that existed are the old ones (recorded: `admin-confirm`, `admin-email`).

use std::time::SystemTime;

use axum::{Json, extract::State, http::HeaderMap};
use bytes::Bytes;
use secrecy::ExposeSecret;
use serde_json::Value;
use uuid::Uuid;

use super::users::find_user;
use crate::{
    audit_log::{AuditAction, user_traits},
    authentication::require_administrator,
    credentials::check_password,
    database::{AddressClaims, Database},
    error::GotrueError,
    metadata::merge,
    mock::Mock,
    path::PathIds,
    request::parse_json_object,
    user::{User, UserView},
    user_form::{Ban, UserForm},
};

/// A change whose form is valid.
struct Change {
    form: UserForm,
    email: Option<String>,
    phone: Option<String>,
    ban: Ban,
}

pub(crate) async fn update(
    State(mock): State<Mock>,
    PathIds(id): PathIds<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, GotrueError> {
    let administrator = require_administrator(&mock, &headers)?;
    let (mut database, now) = (mock.database(), mock.now());
    let before = find_user(&database, &id)?.clone();
    let form: UserForm = parse_json_object(&body, "AdminUserParams")?;
    let (email, phone, ban) = (form.email()?, form.phone()?, form.ban(now)?);
    if let Some(password) = &form.password {
        check_password(password.expose_secret(), mock.settings())?;
    }
    let change = Change { form, email, phone, ban };
    change.check_uniqueness(&database, before.id)?;
    change.apply(&mut database, before.id, now);
    let after = database.user(before.id).ok_or_else(GotrueError::unexpected)?;
    let body = response(&before, after);
    let event = AuditAction::UserModified.with(user_traits(after).into());
    database.audit_actor(&administrator, event, now);
    Ok(Json(body))
}

impl Change {
    /// GoTrue leaves this check to the unique indexes of the database.
    fn check_uniqueness(&self, database: &Database, id: Uuid) -> Result<(), GotrueError> {
        let is_other = |user: &User| user.id != id;
        let email = self.email.as_deref().unwrap_or_default();
        let phone = self.phone.as_deref().unwrap_or_default();
        let (constraint, column, value) = if database.user_by_email(email).is_some_and(is_other) {
            ("users_email_partial_key", "email", email)
        } else if database.user_by_phone(phone).is_some_and(is_other) {
            ("users_phone_key", "phone", phone)
        } else {
            return Ok(());
        };
        Err(GotrueError::unique_violation("Error updating user", constraint, column, value))
    }

    fn apply(self, database: &mut Database, id: Uuid, now: SystemTime) {
        let form = self.form;
        let Some(user) = database.user_mut(id) else { return };
        user.updated_at = now;
        if !form.role.is_empty() {
            form.role.trim().clone_into(&mut user.role);
        }
        if form.email_confirm {
            user.confirm_email(now);
        }
        if form.phone_confirm {
            user.confirm_phone(now);
        }
        let becomes_permanent = self.email.is_some() && form.email_confirm
            || self.phone.is_some() && form.phone_confirm;
        if becomes_permanent {
            user.is_anonymous = false;
        }
        merge(&mut user.app_metadata, form.app_metadata.unwrap_or_default());
        merge(&mut user.user_metadata, form.user_metadata.unwrap_or_default());
        self.ban.apply(user);
        if let Some(password) = form.password {
            database.set_password(id, password, now);
            database.delete_sessions_of(id, None);
        }
        if let Some(email) = &self.email {
            let is_verified = form.email_confirm;
            let claims = AddressClaims { provider: "email", address: email, is_verified };
            database.write_address_identity(id, claims, now);
            database.set_email(id, email.clone());
        }
        if let Some(phone) = &self.phone {
            let is_verified = form.phone_confirm;
            let claims = AddressClaims { provider: "phone", address: phone, is_verified };
            database.write_address_identity(id, claims, now);
            database.set_phone(id, phone.clone());
        }
    }
}

fn response(before: &User, after: &User) -> Value {
    let mut shown = after.clone();
    for (identity, old) in shown.identities.iter_mut().zip(&before.identities) {
        identity.clone_from(old);
    }
    let mut body = shown.to_json(UserView::JustWritten);
    let before = before.to_json(UserView::Stored);
    if let (Some(confirmed_at), Some(members)) = (before.get("confirmed_at"), body.as_object_mut())
    {
        members.insert("confirmed_at".to_owned(), confirmed_at.clone());
    }
    body
}
