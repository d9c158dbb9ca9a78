//! The redirect after a logout by an HTML form: which URLs are allowed, and which one the response contains.

use std::fmt;

use url::{Origin, Position, Url};

use super::{Redirects, error::Rule, rules::parse_strictly};

/// The query parameter in which the redirect passes the outcome of the logout to the page.
const OUTCOME: &str = "logout";

const DEFAULT_REDIRECT: Rule = Rule::Borrowed(
    "must be one path such as `/signed-out`, or one http or https URL, of at most 512 octets, without \
     `*`, `,`, `;` and a parameter `logout`",
);

const ALLOWED_REDIRECT: Rule = Rule::Borrowed(
    "must be http or https URLs of at most 512 octets, without credentials, `*`, `;` and a parameter \
     `logout`, or origins as browsers write them followed by `/*`",
);

/// An entry of `GATEWAY_REDIRECT_URLS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedRedirect {
    /// Exactly this URL.
    ExactUrl(Url),
    /// Every URL of this origin, written `https://host/*`.
    Origin(Origin),
}

/// The target of a redirect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    url: Url,
    /// Whether the target is a path on the gateway's own origin. The origin in `url` is then a placeholder.
    same_origin: bool,
}

impl Redirects {
    /// The target of the redirect: the requested URL if it is allowed, else the configured default.
    pub(crate) fn destination(&self, requested: Option<&str>) -> Destination {
        let requested = requested.and_then(|text| self.allowed_destination(text));
        requested.unwrap_or_else(|| self.default.clone())
    }

    /// The requested URL if it is a path of the gateway's origin, or one of `GATEWAY_REDIRECT_URLS`.
    pub(crate) fn allowed_destination(&self, requested: &str) -> Option<Destination> {
        let allowed = |destination: &Destination| {
            self.allowed.iter().any(|allowed| match allowed {
                AllowedRedirect::ExactUrl(url) => *url == destination.url,
                AllowedRedirect::Origin(origin) => *origin == destination.url.origin(),
            })
        };
        path(requested).or_else(|| absolute(requested).filter(allowed))
    }
}

impl fmt::Display for AllowedRedirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ExactUrl(url) => write!(f, "{url}"),
            Self::Origin(origin) => write!(f, "{}/*", origin.ascii_serialization()),
        }
    }
}

impl Destination {
    fn new(url: Url, same_origin: bool) -> Option<Self> {
        let destination = Self { url, same_origin };
        (destination.location().len() <= LONGEST).then_some(destination)
    }

    /// Adds the parameter `logout` with the outcome to the query; `None` adds none. If the URL already has a
    /// parameter of that name, it is removed, because it is not about this logout.
    pub(crate) fn with_outcome(&self, outcome: Option<&str>) -> Self {
        let mut url = self.url.clone();
        let pairs = self.url.query().unwrap_or_default().split('&');
        let others = pairs.filter(|pair| !pair.is_empty() && !is_outcome(pair));
        let others = others.collect::<Vec<_>>().join("&");
        url.set_query(Some(&*others).filter(|others| !others.is_empty()));
        if let Some(outcome) = outcome {
            url.query_pairs_mut().append_pair(OUTCOME, outcome);
        }
        Self { url, same_origin: self.same_origin }
    }

    /// Whether the text of a setting is one plain URL. A wildcard, a list separator or a parameter `logout`
    /// shows that the operator expects a meaning that this setting does not have.
    fn is_single(&self) -> bool {
        let mut pairs = self.url.query().unwrap_or_default().split('&');
        !self.location().contains(['*', ',', ';']) && !pairs.any(is_outcome)
    }

    /// The value of the response header `Location`.
    pub(crate) fn location(&self) -> &str {
        if self.same_origin { &self.url[Position::BeforePath..] } else { self.url.as_str() }
    }
}

/// The rule for `GATEWAY_REDIRECT_DEFAULT`: a path, or one URL.
pub(super) fn default_destination(text: &str) -> Result<Destination, Rule> {
    path(text).or_else(|| absolute(text)).filter(Destination::is_single).ok_or(DEFAULT_REDIRECT)
}

fn is_outcome(pair: &str) -> bool {
    form_urlencoded::parse(pair.as_bytes()).any(|(name, _)| name == OUTCOME)
}

/// Parses a path on the gateway's own origin; `None` if the text is not a safe path.
///
/// The path must be in ASCII and have no syntax error of the URL standard. It must not contain `//`, a
/// backslash, `@` or a control character, plain or percent-encoded, because a browser or a proxy could take
/// the text after it for a host.
pub(super) fn path(text: &str) -> Option<Destination> {
    if !text.starts_with('/') || text.starts_with("//") {
        return None;
    }
    let url = strict(text)?;
    let path = url.path();
    let hidden = ["%2f", "%5c", "%40", "%0", "%1", "%7f"];
    let lower = path.to_ascii_lowercase();
    let plain = !path.contains("//")
        && !path.contains('@')
        && !hidden.iter().any(|octet| lower.contains(octet));
    let same = url.origin() == placeholder_origin()?.origin();
    if plain && same { Destination::new(url, true) } else { None }
}

fn absolute(text: &str) -> Option<Destination> {
    let http = text.starts_with("https://") || text.starts_with("http://");
    let url = strict(text).filter(|_| http)?;
    let credentials = !url.username().is_empty() || url.password().is_some();
    if credentials { None } else { Destination::new(url, false) }
}

pub(super) fn allowed_redirect(text: &str) -> Result<AllowedRedirect, Rule> {
    let origin_wildcard = text.strip_suffix("/*");
    let text = origin_wildcard.unwrap_or(text);
    // `Url::parse` accepts `*` in a host name, so refuse it by `is_single`.
    let Destination { url, .. } =
        absolute(text).filter(Destination::is_single).ok_or(ALLOWED_REDIRECT)?;
    match origin_wildcard {
        None => Ok(AllowedRedirect::ExactUrl(url)),
        Some(_) if text == url.origin().ascii_serialization() => {
            Ok(AllowedRedirect::Origin(url.origin()))
        }
        Some(_) => Err(ALLOWED_REDIRECT),
    }
}

/// The longest `Location` in bytes. The response header buffer of a proxy must have room for the `Set-Cookie`
/// lines too.
const LONGEST: usize = 512;

fn strict(text: &str) -> Option<Url> {
    let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
    parse_strictly(text, Some(&placeholder_origin()?)).filter(|_| printable)
}

/// The base URL that paths are resolved against. The domain `invalid` never exists (RFC 2606, section 2).
fn placeholder_origin() -> Option<Url> {
    Url::parse("https://own.invalid").ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::tests::{errors_of, parse};

    #[rstest]
    #[case("/")]
    #[case("/signed-out?by=form#x")]
    #[case("https://www.example.com/bye")]
    #[case("http://localhost:3000/")]
    fn a_default_is_a_path_or_a_url(#[case] text: &str) {
        let redirects = parse(&[("GATEWAY_REDIRECT_DEFAULT", text)]).redirects;
        assert_eq!(redirects.destination(None).location(), text);
    }

    #[rstest]
    #[case("GATEWAY_REDIRECT_DEFAULT", "bye")]
    #[case("GATEWAY_REDIRECT_DEFAULT", "//evil.example")]
    #[case("GATEWAY_REDIRECT_DEFAULT", "//own.invalid/bye")]
    #[case("GATEWAY_REDIRECT_DEFAULT", "https://user@www.example.com/")]
    #[case("GATEWAY_REDIRECT_DEFAULT", "https://www.example.com/*")]
    #[case("GATEWAY_REDIRECT_DEFAULT", "/*")]
    #[case("GATEWAY_REDIRECT_DEFAULT", "https://a.example/,https://b.example/")]
    #[case("GATEWAY_REDIRECT_DEFAULT", "/sign-in?logout=1")]
    #[case("GATEWAY_REDIRECT_URLS", "/bye")]
    #[case("GATEWAY_REDIRECT_URLS", "*")]
    #[case("GATEWAY_REDIRECT_URLS", "https://*.example.com/*")]
    #[case("GATEWAY_REDIRECT_URLS", "https://%2a.example.com/bye")]
    #[case("GATEWAY_REDIRECT_URLS", "https://a.example/bye;https://b.example/bye")]
    #[case("GATEWAY_REDIRECT_URLS", "https://a.example/bye?logout=1")]
    #[case("GATEWAY_REDIRECT_URLS", "https://www.example.com/a/*")]
    #[case("GATEWAY_REDIRECT_URLS", "https://www.example.com:443/*")]
    #[case("GATEWAY_REDIRECT_URLS", "https://www.example.com/**")]
    #[case("GATEWAY_REDIRECT_URLS", "https://user@www.example.com/*")]
    #[case("GATEWAY_REDIRECT_URLS", "myapp://bye")]
    #[case("GATEWAY_REDIRECT_URLS", "https://a.example/bye,,")]
    fn an_invalid_redirect_setting_is_refused(#[case] variable: &str, #[case] text: &str) {
        let errors = errors_of(&[(variable, text)]);
        assert!(errors.len() == 1 && errors[0].starts_with(variable), "{errors:?}");
    }

    #[rstest]
    #[case::default(&[])]
    #[case::empty(&[("GATEWAY_REDIRECT_URLS", "")])]
    fn a_url_that_no_list_allows_redirects_to_the_default(#[case] given: &[(&str, &str)]) {
        let redirects = parse(given).redirects;
        assert_eq!(redirects.destination(Some("https://a.example/")).location(), "/");
    }
}
