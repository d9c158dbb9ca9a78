//! `GET /admin/users`: the users, the newest first, in pages.

use axum::{
    Json,
    extract::{RawQuery, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::{
    authentication::require_administrator,
    error::GotrueError,
    mock::Mock,
    pagination::Page,
    request::query_parameter,
    user::{User, UserView},
};

pub(crate) async fn list(
    State(mock): State<Mock>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, GotrueError> {
    require_administrator(&mock, &headers)?;
    let query = query.as_deref();
    let is_ascending = is_ascending(query).map_err(|reason| {
        let message = format!("Bad Sort Parameters: {reason}");
        GotrueError::bad_request("validation_failed", message)
    })?;
    let filter = query_parameter(query, "filter");
    let page = Page::of(query)?;
    let database = mock.database();
    let mut users: Vec<&User> = database.users().filter(|user| matches(user, &filter)).collect();
    // The id decides between users of the same moment, so that a page never repeats a user of another.
    users.sort_by_key(|user| (user.created_at, user.id));
    if !is_ascending {
        users.reverse();
    }
    let headers = page.headers("/admin/users", query, users.len());
    let users: Vec<Value> = page.slice(&users).iter().copied().map(listed).collect();
    Ok((headers, Json(json!({ "users": users, "aud": "authenticated" }))).into_response())
}

/// A user of a list: GoTrue does not read the identities (recorded: `admin-list`).
fn listed(user: &User) -> Value {
    let mut user = user.to_json(UserView::Stored);
    if let Some(members) = user.as_object_mut() {
        members.insert("identities".to_owned(), Value::Null);
    }
    user
}

/// Whether the address contains the filter, or the member `full_name` of the user's metadata does in any case.
fn matches(user: &User, filter: &str) -> bool {
    let full_name = user.user_metadata.get("full_name").and_then(Value::as_str);
    let full_name = full_name.unwrap_or_default().to_lowercase();
    user.email().contains(filter) || full_name.contains(&filter.to_lowercase())
}

/// Whether the parameter `sort` asks for the oldest first. Its only field is `created_at`, so that its first value
/// decides.
fn is_ascending(query: Option<&str>) -> Result<bool, String> {
    let mut first = None;
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        if name != "sort" {
            continue;
        }
        let (field, direction) = value.split_once(' ').unwrap_or((&value, "desc"));
        if field != "created_at" {
            return Err(format!("bad field for sort '{field}'"));
        }
        let is_ascending = match &*direction.to_uppercase() {
            "ASC" => true,
            "DESC" => false,
            _ => {
                let allowed = "only 'asc' and 'desc' allowed";
                return Err(format!("bad direction for sort '{direction}', {allowed}"));
            }
        };
        first.get_or_insert(is_ascending);
    }
    Ok(first.unwrap_or(false))
}
