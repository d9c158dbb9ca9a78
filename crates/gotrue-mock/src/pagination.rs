//! The pages of a list: the query parameters `page` and `per_page`, and the headers `Link` and `X-Total-Count`.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::{error::GotrueError, redirect::with_query, request::query_parameter};

const DEFAULT_PER_PAGE: u64 = 50;

/// A page that a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// The requested number. The pages 0 and 1 have the same items.
    number: u64,
    per_page: u64,
}

impl Page {
    pub(crate) fn of(query: Option<&str>) -> Result<Self, GotrueError> {
        let number = unsigned(query, "page", 1)?;
        let per_page = unsigned(query, "per_page", DEFAULT_PER_PAGE)?;
        // GoTrue divides by zero.
        if per_page == 0 {
            return Err(GotrueError::panicked());
        }
        Ok(Self { number, per_page })
    }

    /// The items of this page.
    pub(crate) fn slice<T>(self, items: &[T]) -> &[T] {
        let length = usize::try_from(self.per_page).unwrap_or(usize::MAX);
        let before = usize::try_from(self.number.max(1) - 1).unwrap_or(usize::MAX);
        let start = before.saturating_mul(length).min(items.len());
        let end = start.saturating_add(length).min(items.len());
        items.get(start..end).unwrap_or_default()
    }

    /// The headers for a list of `total` items. Like GoTrue's, the links name the path without `/auth/v1`, and after
    /// page 0 comes page 1 (recorded: `admin-list-page-zero`).
    pub(crate) fn headers(self, path: &str, query: Option<&str>, total: usize) -> HeaderMap {
        let total = u64::try_from(total).unwrap_or(u64::MAX);
        let last = total.div_ceil(self.per_page);
        let next = if last > self.number {
            format!("<{}>; rel=\"next\", ", address(path, query, self.number + 1))
        } else {
            String::new()
        };
        let link = format!("{next}<{}>; rel=\"last\"", address(path, query, last));
        let mut headers = HeaderMap::new();
        headers.extend(HeaderValue::try_from(link).ok().map(|link| (header::LINK, link)));
        headers.insert(HeaderName::from_static("x-total-count"), HeaderValue::from(total));
        headers
    }
}

/// The path with the query's parameters in the order of their names, and this page.
fn address(path: &str, query: Option<&str>, page: u64) -> String {
    let address = format!("{path}?{}", query.unwrap_or_default());
    with_query(&address, &[("page", &page.to_string())])
}

/// A number of the query, with the error of Go's `strconv.ParseUint`.
fn unsigned(query: Option<&str>, name: &str, default: u64) -> Result<u64, GotrueError> {
    let text = query_parameter(query, name);
    if text.is_empty() {
        return Ok(default);
    }
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let reason = if is_number { "value out of range" } else { "invalid syntax" };
    text.parse().ok().filter(|_| is_number).ok_or_else(|| {
        let error = format!("strconv.ParseUint: parsing {text:?}: {reason}");
        let message = format!("Bad Pagination Parameters: {error}");
        GotrueError::bad_request("validation_failed", message)
    })
}
