//! Requests for which there is no handler: an unknown path is 404, a wrong method 405. GoTrue looks at the credentials,
//! and at the rows that the path names, first (recorded: `route-unknown-under-admin`, `user-delete-no-authorization`).

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};

use crate::{
    authentication::{Caller, require_administrator},
    database::Database,
    error::GotrueError,
    mock::Mock,
    routes::{
        admin::users::find_user,
        factors::{authenticate, find_factor},
        identities::check_linking,
    },
};

/// The answer of Go's router to an unknown path.
pub(crate) async fn not_found() -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (StatusCode::NOT_FOUND, headers, "404 page not found\n").into_response()
}

/// The answer to an unknown path under `/auth/v1`.
pub(crate) async fn unknown_path(
    State(mock): State<Mock>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    match check_caller(&mock, uri.path(), &headers) {
        Ok(()) => not_found().await,
        Err(error) => error.into_response(),
    }
}

pub(crate) async fn wrong_method(
    State(mock): State<Mock>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<StatusCode, GotrueError> {
    check_caller(&mock, uri.path(), &headers)?;
    Ok(StatusCode::METHOD_NOT_ALLOWED)
}

/// Makes the checks of the routers that GoTrue mounts on the way to this path.
pub(crate) fn check_caller(
    mock: &Mock,
    path: &str,
    headers: &HeaderMap,
) -> Result<(), GotrueError> {
    let segments: Vec<_> = path.split('/').skip(1).collect();
    match *segments {
        ["admin", ref rest @ ..] => {
            require_administrator(mock, headers)?;
            check_users_of_path(&mut mock.database(), rest)
        }
        ["reauthenticate", ..] => Caller::authenticate(mock, &mock.database(), headers).map(drop),
        ["user", ref rest @ ..] => {
            Caller::authenticate(mock, &mock.database(), headers)?;
            if rest.first() == Some(&"identities") { check_linking(mock) } else { Ok(()) }
        }
        ["factors", ref rest @ ..] => {
            let mut database = mock.database();
            let caller = authenticate(mock, &database, headers)?;
            match rest.first() {
                // Newer releases of GoTrue have this endpoint, which names no factor.
                Some(&"recovery-codes") => Ok(()),
                Some(id) if !id.is_empty() => {
                    find_factor(&mut database, caller.user_id, id).map(drop)
                }
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// Finds the user, and the factor, that a path under `/admin` names.
fn check_users_of_path(database: &mut Database, segments: &[&str]) -> Result<(), GotrueError> {
    let ["users", id, rest @ ..] = segments else { return Ok(()) };
    if id.is_empty() {
        return Ok(());
    }
    let user_id = find_user(database, id)?.id;
    match rest {
        ["factors", factor, ..] if !factor.is_empty() => {
            find_factor(database, user_id, factor).map(drop)
        }
        _ => Ok(()),
    }
}
