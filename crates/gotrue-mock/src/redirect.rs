//! Redirects as Go's `http.Redirect` writes them.

use axum::{
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use url::form_urlencoded;

use crate::error::GotrueError;

/// A redirect: with a page in the answer to GET, without in the answer to other methods. `appended` is what GoTrue
/// writes after the page.
pub(crate) fn redirect(
    status: StatusCode,
    location: &str,
    method: &Method,
    appended: &str,
) -> Response {
    let header = HeaderValue::try_from(location).unwrap_or(HeaderValue::from_static("/"));
    if *method != Method::GET {
        return (status, [(header::LOCATION, header)], appended.to_owned()).into_response();
    }
    let reason = status.canonical_reason().unwrap_or_default();
    let page = format!("<a href=\"{}\">{reason}</a>.\n\n{appended}", escape_html(location));
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    (status, [(header::LOCATION, header), (header::CONTENT_TYPE, html)], page).into_response()
}

/// The address with these parameters in its query, as Go's `url.Values` writes them: they replace those of the same
/// name, and all are in the order of their names. The fragment stays.
pub(crate) fn with_query(address: &str, parameters: &[(&str, &str)]) -> String {
    let (address, fragment) = split_fragment(address);
    let (base, query) = address.split_once('?').unwrap_or((address, ""));
    let mut pairs: Vec<(String, String)> =
        form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    pairs.retain(|(name, _)| !parameters.iter().any(|(added, _)| added == name));
    pairs.extend(parameters.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())));
    pairs.sort_by(|(name, _), (other, _)| name.cmp(other));
    let query = if pairs.is_empty() { String::new() } else { format!("?{}", encoded(&pairs)) };
    format!("{base}{query}{fragment}")
}

/// The address with these members in place of its fragment. GoTrue encodes them, and Go's `url.URL` encodes the result
/// once more (recorded: `callback-code-refused`).
pub(crate) fn with_fragment<N: AsRef<str>, V: AsRef<str>>(
    address: &str,
    members: &[(N, V)],
) -> String {
    let (address, _) = split_fragment(address);
    format!("{address}#{}", encoded(members).replace('%', "%25"))
}

/// The fragment with its number sign; empty if there is none.
fn split_fragment(address: &str) -> (&str, &str) {
    address.split_at(address.find('#').unwrap_or(address.len()))
}

pub(crate) fn encoded<N: AsRef<str>, V: AsRef<str>>(pairs: &[(N, V)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// GoTrue's `oauthErrorMap`: the member `error` for an error of this status.
pub(crate) fn oauth_error(error: &GotrueError) -> Option<&'static str> {
    match error.parts().0 {
        StatusCode::BAD_REQUEST => Some("invalid_request"),
        StatusCode::UNAUTHORIZED => Some("unauthorized_client"),
        StatusCode::FORBIDDEN => Some("access_denied"),
        StatusCode::INTERNAL_SERVER_ERROR => Some("server_error"),
        StatusCode::SERVICE_UNAVAILABLE => Some("temporarily_unavailable"),
        _ => None,
    }
}

/// Escapes a text for HTML, in elements and in attributes.
pub(crate) fn escape_html(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&#34;")
        .replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_sorted_and_the_fragment_stays() {
        let code = [("code", "1 2")];
        for (address, expected) in [
            ("http://a", "http://a?code=1+2"),
            ("http://a/b?z=1&code=0&a=2#/route?x", "http://a/b?a=2&code=1+2&z=1#/route?x"),
            ("http://a?b=2&b=1", "http://a?b=2&b=1&code=1+2"),
        ] {
            assert_eq!(with_query(address, &code), expected);
        }
        assert_eq!(with_query("http://a#b", &[]), "http://a#b");
    }

    #[test]
    fn a_fragment_replaces_the_one_of_the_address_and_is_encoded_twice() {
        let members = [("message", "a: b"), ("sb", "")];
        let expected = "http://a?b=1#message=a%253A+b&sb=";
        assert_eq!(with_fragment("http://a?b=1#/route", &members), expected);
    }
}
