//! The handlers of the control endpoints under `/mock`, by which a test reads and changes the mock.

use std::{fmt::Display, time::Duration};

use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use jsonwebtoken::jwk::JwkSet;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    calls::Call,
    clock::timestamp,
    faults::Fault,
    mock::Mock,
    session_expiry::SessionExpiry,
    user::{User, UserView},
};

/// An error of a control endpoint, answered with a status and `{"message":"…"}`.
pub(crate) struct ControlError {
    status: StatusCode,
    message: String,
}

impl ControlError {
    /// An error with status 400; `problem` is for example `not a fault`.
    fn bad_request(problem: &str, reason: impl Display) -> Self {
        Self { status: StatusCode::BAD_REQUEST, message: format!("{problem}: {reason}") }
    }
}

impl IntoResponse for ControlError {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "message": self.message }))).into_response()
    }
}

pub(crate) async fn reset(State(mock): State<Mock>) -> StatusCode {
    mock.reset();
    StatusCode::NO_CONTENT
}

/// The parameter `last` of a list: only the newest rows are wanted.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct ListQuery {
    last: Option<usize>,
}

type List = ([(&'static str, String); 1], Json<Value>);

/// A list, oldest first: all rows, or the last ones. The header `X-Total-Count` has the number of all.
fn listed<T>(rows: &[T], ListQuery { last }: ListQuery, to_json: impl Fn(&T) -> Value) -> List {
    let skipped = rows.len().saturating_sub(last.unwrap_or(usize::MAX));
    let shown: Value = rows.iter().skip(skipped).map(to_json).collect();
    ([("x-total-count", rows.len().to_string())], Json(shown))
}

pub(crate) async fn calls(State(mock): State<Mock>, Query(query): Query<ListQuery>) -> List {
    let log = mock.call_log();
    let calls: Vec<&Call> = log.iter().collect();
    listed(&calls, query, |call| json!(call))
}

pub(crate) async fn mails(State(mock): State<Mock>, Query(query): Query<ListQuery>) -> List {
    listed(&mock.mails(), query, |mail| json!(mail))
}

pub(crate) async fn delete_mails(State(mock): State<Mock>) -> StatusCode {
    mock.delete_mails();
    StatusCode::NO_CONTENT
}

/// The users as GoTrue's administrators see them.
pub(crate) async fn users(State(mock): State<Mock>, Query(query): Query<ListQuery>) -> List {
    let database = mock.database();
    let mut users: Vec<&User> = database.users().collect();
    users.sort_by_key(|user| (user.created_at, user.id));
    listed(&users, query, |user| user.to_json(UserView::Stored))
}

pub(crate) async fn sessions(State(mock): State<Mock>, Query(query): Query<ListQuery>) -> List {
    let (database, now) = (mock.database(), mock.now());
    listed(&database.sessions(), query, |session| {
        let user = database.user(session.user_id);
        json!({
            "id": session.id,
            "user_id": session.user_id,
            "email": user.map(User::email),
            "phone": user.map(User::phone),
            "aal": session.aal.as_str(),
            "amr": session.amr.iter().map(|entry| entry.method).collect::<Vec<_>>(),
            "banned": user.is_some_and(|user| user.is_banned(now)),
            "created_at": timestamp(session.created_at),
        })
    })
}

pub(crate) async fn delete_session(
    State(mock): State<Mock>,
    Path(id): Path<String>,
) -> Result<StatusCode, ControlError> {
    act_on("session", &id, |id| mock.delete_session(id))
}

pub(crate) async fn delete_user(
    State(mock): State<Mock>,
    Path(id): Path<String>,
) -> Result<StatusCode, ControlError> {
    act_on("user", &id, |id| mock.delete_user(id))
}

pub(crate) async fn ban_user(
    State(mock): State<Mock>,
    Path(id): Path<String>,
) -> Result<StatusCode, ControlError> {
    act_on("user", &id, |id| mock.ban_user(id))
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ExpireRequest {
    reason: SessionExpiry,
}

pub(crate) async fn expire_session(
    State(mock): State<Mock>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<StatusCode, ControlError> {
    let ExpireRequest { reason } =
        parse_optional(&body).map_err(|error| ControlError::bad_request("not an expiry", error))?;
    act_on("session", &id, |id| mock.expire_session(id, reason))
}

/// Runs the clean-up, and answers with the number of refresh tokens that it deleted.
pub(crate) async fn clean_up(State(mock): State<Mock>) -> Json<Value> {
    Json(json!({ "refresh_tokens": mock.clean_up() }))
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RotateRequest {
    keep_old: bool,
}

/// Replaces the signing key, and answers with the new key set.
pub(crate) async fn rotate_keys(
    State(mock): State<Mock>,
    body: Bytes,
) -> Result<Json<JwkSet>, ControlError> {
    let RotateRequest { keep_old } = parse_optional(&body)
        .map_err(|error| ControlError::bad_request("not a rotation", error))?;
    mock.rotate(keep_old).map_err(|error| ControlError {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        message: error.to_string(),
    })?;
    Ok(Json(mock.keys().jwks()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AdvanceRequest {
    /// The time to add, for example `2h`, `90s` or `1day 6h`.
    #[serde(deserialize_with = "duration")]
    advance: Duration,
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    humantime::parse_duration(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// Advances the clock, and answers with the new time.
pub(crate) async fn advance_clock(
    State(mock): State<Mock>,
    body: Bytes,
) -> Result<Json<Value>, ControlError> {
    const PROBLEM: &str = "cannot advance the clock";
    let AdvanceRequest { advance } =
        serde_json::from_slice(&body).map_err(|error| ControlError::bad_request(PROBLEM, error))?;
    mock.advance_clock(advance).map_err(|error| ControlError::bad_request(PROBLEM, error))?;
    Ok(Json(json!({ "now": timestamp(mock.now()) })))
}

pub(crate) async fn inject_fault(
    State(mock): State<Mock>,
    body: Bytes,
) -> Result<StatusCode, ControlError> {
    let fault = serde_json::from_slice(&body)
        .map_err(|error| ControlError::bad_request("not a fault", error))?;
    mock.inject(fault);
    Ok(StatusCode::NO_CONTENT)
}

/// The faults that have not been used up, the oldest first.
pub(crate) async fn faults(State(mock): State<Mock>) -> Json<Vec<Value>> {
    Json(mock.faults().iter().map(Fault::to_json).collect())
}

pub(crate) async fn clear_faults(State(mock): State<Mock>) -> StatusCode {
    mock.clear_faults();
    StatusCode::NO_CONTENT
}

/// Reads a JSON body; an empty body is the default.
fn parse_optional<T: Default + DeserializeOwned>(body: &[u8]) -> serde_json::Result<T> {
    if body.is_empty() { Ok(T::default()) } else { serde_json::from_slice(body) }
}

/// Answers with status 204 if `act` found the row with this id, else with 404; `kind` is `user` or
/// `session`.
fn act_on(
    kind: &str,
    id: &str,
    act: impl FnOnce(Uuid) -> bool,
) -> Result<StatusCode, ControlError> {
    if Uuid::try_parse(id).is_ok_and(act) {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(ControlError { status: StatusCode::NOT_FOUND, message: format!("no such {kind}") })
}
