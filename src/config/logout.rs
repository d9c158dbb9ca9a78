//! The rules for the default scope of a logout and for its response.

use axum::http::HeaderValue;

use super::{choice::Choice, error::Rule, rules::list};
use crate::outcome::Scope;

/// The response to a logout of a session that GoTrue does not know, because the session has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionNotFound {
    /// The response of a successful logout.
    Success,
    /// 401 `not_found`.
    Unauthorized,
}

impl Choice for SessionNotFound {
    const CHOICES: &'static [(&'static str, Self)] =
        &[("success", Self::Success), ("unauthorized", Self::Unauthorized)];
}

pub(super) fn scope(text: &str) -> Result<Scope, Rule> {
    text.parse().map_err(|_| "must be `local` or `others` or `global`".into())
}

/// The value of the header `Clear-Site-Data`, in which each type is a quoted string; `None` for an empty
/// list.
pub(super) fn clear_site_data(text: &str) -> Result<Option<HeaderValue>, Rule> {
    let types = list(site_data_type)(text)?;
    if types.is_empty() {
        return Ok(None);
    }
    let value = HeaderValue::try_from(types.join(", "));
    value.map(Some).map_err(|_| "must be a header value".into())
}

fn site_data_type(entry: &str) -> Result<&'static str, Rule> {
    match entry {
        "cache" => Ok(r#""cache""#),
        "storage" => Ok(r#""storage""#),
        "executionContexts" => Ok(r#""executionContexts""#),
        "clientHints" => Ok(r#""clientHints""#),
        "cookies" | "*" => Err("must not be `cookies` or `*`: they would clear the cookies of \
                                sibling subdomains too"
            .into()),
        _ => Err("must be `cache`, `storage`, `executionContexts` or `clientHints`".into()),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::tests::{errors_of, parse};

    #[rstest]
    #[case("cache,storage", Some(r#""cache", "storage""#))]
    #[case("executionContexts", Some(r#""executionContexts""#))]
    #[case("", None)]
    fn clear_site_data_is_quoted(#[case] text: &str, #[case] header: Option<&str>) {
        let config = parse(&[("GATEWAY_CLEAR_SITE_DATA", text)]);
        assert_eq!(
            config.logout.clear_site_data.as_ref().map(|value| value.to_str().unwrap()),
            header
        );
    }

    #[rstest]
    #[case("cookies", "sibling subdomains")]
    #[case("cache,*", "sibling subdomains")]
    #[case("Cache", "must be `cache`")]
    fn clear_site_data_cannot_clear_the_cookies_of_siblings(
        #[case] text: &str,
        #[case] reason: &str,
    ) {
        let errors = errors_of(&[("GATEWAY_CLEAR_SITE_DATA", text)]);
        assert!(errors.concat().contains(reason), "{errors:?}");
    }

    #[rstest]
    #[case("memory", None)]
    #[case("file:/var/lib/gateway", Some("GATEWAY_SECRET: is required"))]
    #[case("rediss://redis:6379", Some("GATEWAY_SECRET: is required"))]
    fn a_durable_store_needs_a_secret(#[case] store: &str, #[case] error: Option<&str>) {
        let errors = errors_of(&[("GATEWAY_STORE", store)]);
        assert_eq!(errors.len(), usize::from(error.is_some()), "{errors:?}");
        assert!(error.is_none_or(|error| errors[0].starts_with(error)), "{errors:?}");
        let secret = ("GATEWAY_SECRET", "0123456789abcdef0123456789abcdef");
        assert!(errors_of(&[("GATEWAY_STORE", store), secret]).is_empty());
    }
}
