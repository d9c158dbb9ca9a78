//! `POST /invite`: an administrator invites a user by mail.

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
    audit_log::{AuditAction, AuditActor},
    authentication::require_administrator,
    credentials::parse_email,
    database::{AddressClaims, Database},
    error::GotrueError,
    mailer::{self, Redirect},
    mock::Mock,
    rate_limit_checks,
    request::parse_json_object,
    user::{User, UserView},
    user_creation::email_exists,
};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    email: String,
    data: Option<Map<String, Value>>,
}

/// Invites a new user, or again one who has not confirmed the address. The metadata of a known user stay.
pub(crate) async fn invite(
    State(mock): State<Mock>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, GotrueError> {
    let administrator = require_administrator(&mock, &headers)?;
    let body: Body = parse_json_object(&body, "InviteParams")?;
    let email = parse_email(&body.email)?;
    let mut database = mock.database();
    let known = unconfirmed_user(&database, &email)?;
    rate_limit_checks::count_mail(&mock, &mut database, None)?;
    let id = match known {
        Some(id) => id,
        None => insert_unconfirmed(&mock, &mut database, &email, body.data.unwrap_or_default()),
    };
    audit_invitation(&mock, &mut database, &administrator, (id, &email));
    let redirect = Redirect::of(&mock, query.as_deref(), &headers);
    mailer::send_invitation(&mock, &mut database, id, &redirect);
    let user = database.user(id).ok_or_else(GotrueError::unexpected)?;
    Ok(Json(user.to_json(UserView::Stored)))
}

/// Writes into the audit log that an administrator invites this user.
pub(crate) fn audit_invitation(
    mock: &Mock,
    database: &mut Database,
    administrator: &AuditActor,
    (id, email): (Uuid, &str),
) {
    let event = AuditAction::UserInvited.with(json!({ "user_id": id, "user_email": email }));
    database.audit_actor(administrator, event, mock.now());
}

/// The user of this address, who must not have confirmed it. `None` if the address is not known.
pub(crate) fn unconfirmed_user(
    database: &Database,
    email: &str,
) -> Result<Option<Uuid>, GotrueError> {
    match database.user_by_email(email) {
        Some(user) if user.email_confirmed_at.is_some() => Err(email_exists()),
        user => Ok(user.map(|user| user.id)),
    }
}

/// Creates a user without a password whose address is to be confirmed.
pub(crate) fn insert_unconfirmed(
    mock: &Mock,
    database: &mut Database,
    email: &str,
    data: Map<String, Value>,
) -> Uuid {
    let now = mock.now();
    let mut user = User::new(database.new_uuid(), now);
    let id = user.id;
    (user.email, user.user_metadata) = (Some(email.to_owned()), data);
    database.insert_user(user);
    let claims = AddressClaims { provider: "email", address: email, is_verified: false };
    database.write_address_identity(id, claims, now);
    if let Some(user) = database.user_mut(id) {
        user.update_providers();
    }
    id
}
