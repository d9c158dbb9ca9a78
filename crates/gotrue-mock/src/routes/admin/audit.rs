//! `GET /admin/audit`: the mock keeps no audit log. It makes the checks of GoTrue, and then answers with status 501.

use axum::{
    extract::{RawQuery, State},
    http::HeaderMap,
};

use crate::{
    authentication::require_administrator, error::GotrueError, mock::Mock, pagination::Page,
    request::query_parameter,
};

/// What a query may ask for: the part before its first colon.
const SCOPES: [&str; 3] = ["author", "action", "type"];

pub(crate) async fn audit(
    State(mock): State<Mock>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<(), GotrueError> {
    require_administrator(&mock, &headers)?;
    Page::of(query.as_deref())?;
    let filter = query_parameter(query.as_deref(), "query");
    let is_known = filter.split_once(':').is_some_and(|(scope, _)| SCOPES.contains(&scope));
    if !filter.is_empty() && !is_known {
        let message = format!("Invalid query scope: {filter}");
        return Err(GotrueError::bad_request("validation_failed", message));
    }
    Err(GotrueError::not_implemented("GET /admin/audit"))
}
