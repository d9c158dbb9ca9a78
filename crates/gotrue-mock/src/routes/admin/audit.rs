//! `GET /admin/audit`: the entries of the audit log, the newest first, in pages.

use axum::{
    Json,
    extract::{RawQuery, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};

use crate::{
    authentication::require_administrator, error::GotrueError, mock::Mock, pagination::Page,
    request::query_parameter,
};

pub(crate) async fn audit(
    State(mock): State<Mock>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, GotrueError> {
    require_administrator(&mock, &headers)?;
    let query = query.as_deref();
    let page = Page::of(query)?;
    let filter = query_parameter(query, "query");
    let (members, text) = parse_filter(&filter)?;
    let database = mock.database();
    let entries = database.audit_log.newest_first();
    let entries: Vec<_> =
        entries.filter(|entry| text.is_empty() || entry.contains(members, text)).collect();
    let headers = page.headers("/admin/audit", query, entries.len());
    Ok((headers, Json(page.slice(&entries))).into_response())
}

/// The members of the payload before the first colon, and the text that one of them must contain. An empty text is in
/// every entry.
fn parse_filter(filter: &str) -> Result<(&'static [&'static str], &str), GotrueError> {
    match filter.split_once(':') {
        Some(("author", text)) => Ok((&["actor_username", "actor_name"], text)),
        Some(("action", text)) => Ok((&["action"], text)),
        Some(("type", text)) => Ok((&["log_type"], text)),
        None if filter.is_empty() => Ok((&[], "")),
        _ => {
            let message = format!("Invalid query scope: {filter}");
            Err(GotrueError::bad_request("validation_failed", message))
        }
    }
}
