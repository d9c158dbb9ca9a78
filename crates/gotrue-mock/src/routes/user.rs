//! `GET /user`, `PUT /user` and `PUT /admin/users/{id}`: a user, and a new password.
//!
//! 1. A user who sets a new password ends the user's other sessions (recorded: `user-password`). If
//!    the access token names no session, all sessions end (recorded: `ending-minted-password`).
//! 2. An administrator who sets a user's password ends all sessions of that user (recorded:
//!    `admin-password`).
//! 3. The mock can change only the password. It answers with status 501 if the request has a new
//!    e-mail address, phone number or metadata.

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode},
};
use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    authentication::{Caller, require_administrator},
    credentials::{check_password, parse_email},
    error::GotrueError,
    mock::Mock,
    rate_limits::LimitedRequest,
    request::parse_json_object,
    settings::Settings,
    user::{User, UserView},
};

pub(crate) async fn get_user(
    State(mock): State<Mock>,
    headers: HeaderMap,
) -> Result<Json<Value>, GotrueError> {
    let database = mock.database();
    let caller = Caller::authenticate(&mock, &database, &headers)?;
    let audience = headers.get("x-jwt-aud").map_or(b"".as_slice(), HeaderValue::as_bytes);
    if !audience.is_empty() && audience != b"authenticated" {
        let message = "Token audience doesn't match request audience";
        return Err(GotrueError::bad_request("validation_failed", message));
    }
    let user = database.user(caller.user_id);
    Ok(Json(user.map_or(Value::Null, |user| user.to_json(UserView::Stored))))
}

/// GoTrue looks at the credentials before the method (recorded: `user-delete-no-authorization`).
pub(crate) async fn wrong_method(
    State(mock): State<Mock>,
    headers: HeaderMap,
) -> Result<StatusCode, GotrueError> {
    Caller::authenticate(&mock, &mock.database(), &headers)?;
    Ok(StatusCode::METHOD_NOT_ALLOWED)
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct UserUpdate {
    password: Option<SecretString>,
    email: Option<String>,
    phone: Option<String>,
    data: Option<Map<String, Value>>,
    app_metadata: Option<Map<String, Value>>,
}

impl UserUpdate {
    /// Makes the checks of GoTrue, in the same order.
    fn check(&self, user: &User, settings: &Settings) -> Result<(), GotrueError> {
        let email = self.email.as_deref().filter(|email| !email.is_empty());
        let email = email.map(parse_email).transpose()?;
        let phone = self.phone.as_deref().filter(|phone| !phone.is_empty());
        if let Some(password) = &self.password {
            check_password(password.expose_secret(), settings)?;
        }
        if self.app_metadata.is_some() {
            let message = "Updating app_metadata requires admin privileges";
            return Err(GotrueError::forbidden("not_admin", message));
        }
        if user.is_anonymous && self.password.is_some() && email.is_none() && phone.is_none() {
            let message = "Updating password of an anonymous user without an email or phone is \
                           not allowed";
            return Err(GotrueError::unprocessable("validation_failed", message));
        }
        let new_email = email.is_some_and(|email| email != user.email());
        let unsupported =
            [("email", new_email), ("phone", phone.is_some()), ("data", self.data.is_some())];
        if let Some((member, _)) = unsupported.into_iter().find(|(_, is_given)| *is_given) {
            return Err(GotrueError::not_implemented(&format!("PUT /user with {member}")));
        }
        match &self.password {
            Some(password) if user.has_password(password.expose_secret()) => {
                let message = "New password should be different from the old password.";
                Err(GotrueError::unprocessable("same_password", message))
            }
            _ => Ok(()),
        }
    }
}

pub(crate) async fn update_user(
    State(mock): State<Mock>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, GotrueError> {
    Caller::authenticate(&mock, &mock.database(), &headers)?;
    LimitedRequest::UserUpdate.check(&mock, &headers)?;
    let mut database = mock.database();
    let Caller { user_id, session_id } = Caller::authenticate(&mock, &database, &headers)?;
    let update: UserUpdate = parse_json_object(&body, "UserUpdateParams")?;
    let user = database.user(user_id).ok_or_else(user_not_found)?;
    update.check(user, mock.settings())?;
    if let Some(password) = update.password {
        database.set_password(user_id, password, mock.now());
        database.delete_sessions_of(user_id, session_id);
    }
    database
        .user(user_id)
        .map(|user| Json(user.to_json(UserView::Stored)))
        .ok_or_else(user_not_found)
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AdminUserUpdate {
    password: Option<SecretString>,
    /// All other members. The mock accepts `email_confirm`, which has no effect because every
    /// address is confirmed, and refuses the others.
    #[serde(flatten)]
    others: Map<String, Value>,
}

pub(crate) async fn update_user_as_administrator(
    State(mock): State<Mock>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, GotrueError> {
    require_administrator(&mock, &headers)?;
    let user_id = Uuid::try_parse(&id)
        .map_err(|_| GotrueError::not_found("validation_failed", "user_id must be an UUID"))?;
    let mut database = mock.database();
    database.user(user_id).ok_or_else(user_not_found)?;
    let update: AdminUserUpdate = parse_json_object(&body, "AdminUserParams")?;
    if let Some(password) = &update.password {
        check_password(password.expose_secret(), mock.settings())?;
    }
    if let Some(member) = update.others.keys().find(|member| *member != "email_confirm") {
        let endpoint = format!("PUT /admin/users/{{id}} with {member}");
        return Err(GotrueError::not_implemented(&endpoint));
    }
    if let Some(password) = update.password {
        database.set_password(user_id, password, mock.now());
        database.delete_sessions_of(user_id, None);
    }
    database
        .user(user_id)
        .map(|user| Json(user.to_json(UserView::Stored)))
        .ok_or_else(user_not_found)
}

fn user_not_found() -> GotrueError {
    GotrueError::not_found("user_not_found", "User not found")
}
