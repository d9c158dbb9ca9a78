//! `PUT /user` and `PUT /admin/users/{id}`: a new password, and the sessions that it ends.
//!
//! 1. A user's own new password ends the user's other sessions (recorded: `user-password`). A token
//!    without `session_id` ends all of them (`ending-minted-password`).
//! 2. A password that an administrator sets ends all sessions (`admin-password`).
//! 3. A new address or number and new metadata are 501: the mock does not have them yet.

use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
};
use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    Mock,
    access_token::{Caller, require_administrator},
    error::GotrueError,
    grants::{check_email, parse},
    password::check_strength,
    state,
    user::User,
};

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
    /// GoTrue's checks, in its order.
    fn check(&self, user: &User) -> Result<(), GotrueError> {
        let email = self.email.as_deref().filter(|email| !email.is_empty());
        let email = email.map(check_email).transpose()?;
        let phone = self.phone.as_deref().filter(|phone| !phone.is_empty());
        if let Some(password) = &self.password {
            check_strength(password.expose_secret())?;
        }
        if self.app_metadata.is_some() {
            let message = "Updating app_metadata requires admin privileges";
            return Err(GotrueError::forbidden("not_admin", message));
        }
        if user.is_anonymous() && self.password.is_some() && email.is_none() && phone.is_none() {
            let message = "Updating password of an anonymous user without an email or phone is \
                           not allowed";
            return Err(GotrueError::unprocessable("validation_failed", message));
        }
        let new_email = email.is_some_and(|email| email != user.email());
        let not_built =
            [("email", new_email), ("phone", phone.is_some()), ("data", self.data.is_some())];
        if let Some((member, _)) = not_built.into_iter().find(|(_, is_given)| *is_given) {
            return Err(GotrueError::not_implemented(&format!("PUT /user with {member}")));
        }
        match &self.password {
            Some(password) if state::has_password(user, password.expose_secret()) => {
                let message = "New password should be different from the old password.";
                Err(GotrueError::unprocessable("same_password", message))
            }
            _ => Ok(()),
        }
    }
}

pub(super) async fn update_user(
    State(mock): State<Mock>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, GotrueError> {
    let mut state = mock.state();
    let Caller { user_id, session_id } = Caller::authenticate(&mock, &state, &headers)?;
    let update: UserUpdate = parse_object(&body, "UserUpdateParams")?;
    let user = state.user(user_id).ok_or_else(user_not_found)?;
    update.check(user)?;
    if let Some(password) = update.password {
        state.set_password(user_id, password, mock.clock().now());
        state.end_sessions_of(user_id, session_id);
    }
    state.user(user_id).map(|user| Json(user.to_json())).ok_or_else(user_not_found)
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AdminUserUpdate {
    password: Option<SecretString>,
    /// All other members. The mock takes `email_confirm`, which changes nothing because it confirms
    /// every address, and refuses the rest.
    #[serde(flatten)]
    others: Map<String, Value>,
}

pub(super) async fn update_user_as_administrator(
    State(mock): State<Mock>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, GotrueError> {
    require_administrator(&mock, &headers)?;
    let user_id = Uuid::try_parse(&id)
        .map_err(|_| GotrueError::not_found("validation_failed", "user_id must be an UUID"))?;
    let mut state = mock.state();
    state.user(user_id).ok_or_else(user_not_found)?;
    let update: AdminUserUpdate = parse_object(&body, "AdminUserParams")?;
    if let Some(password) = &update.password {
        check_strength(password.expose_secret())?;
    }
    if let Some(member) = update.others.keys().find(|member| *member != "email_confirm") {
        let endpoint = format!("PUT /admin/users/{{id}} with {member}");
        return Err(GotrueError::not_implemented(&endpoint));
    }
    if let Some(password) = update.password {
        state.set_password(user_id, password, mock.clock().now());
        state.end_sessions_of(user_id, None);
    }
    state.user(user_id).map(|user| Json(user.to_json())).ok_or_else(user_not_found)
}

fn user_not_found() -> GotrueError {
    GotrueError::not_found("user_not_found", "User not found")
}

/// Reads a JSON object. Serde would take an array for a structure, which GoTrue refuses by the name
/// of its own type (recorded: `body-array-user`).
fn parse_object<T: Default + DeserializeOwned>(
    body: &[u8],
    gotype: &str,
) -> Result<T, GotrueError> {
    let kind = match parse(body)? {
        Value::Object(_) => return parse(body),
        Value::Null => return Ok(T::default()),
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Number(_) => "number",
        Value::Bool(_) => "bool",
    };
    let message = format!(
        "Could not parse request body as JSON: json: cannot unmarshal {kind} into Go value of type \
         api.{gotype}"
    );
    Err(GotrueError::bad_request("bad_json", message))
}
