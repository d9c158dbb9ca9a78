//! Where a form's logout may send the browser afterwards.

use std::{ffi::OsString, fmt};

use clap::Args;
use url::{Origin, Position, Url};

use super::{
    error::{ConfigErrors, Noted, Rule},
    rules::{list_or_none, unrepaired},
};

/// The parameter that tells a page why nobody was logged out.
const OUTCOME: &str = "logout";

const DESTINATION: Rule = Rule::Borrowed(
    "must be one path such as `/signed-out`, or one http or https URL, of at most 512 octets, without \
     `*`, `,`, `;` and a parameter `logout`",
);

const PLACES: Rule = Rule::Borrowed(
    "must be http or https URLs of at most 512 octets, without credentials, `*`, `;` and a parameter \
     `logout`, or origins as browsers write them followed by `/*`",
);

#[derive(Args)]
#[command(next_help_heading = "Forms")]
pub(super) struct RedirectArgs {
    /// Where a form's `redirect_to` may lead besides paths of the own origin, comma-separated URLs, each
    /// exact or an origin and `/*`: `https://app.example.com/bye,https://www.example.com/*`. Default: none
    #[arg(long, env = "GATEWAY_REDIRECT_URLS", value_name = "URLS")]
    redirect_urls: Option<OsString>,
    /// Where a form's logout leads that names no such place: a path, or a URL. Default: `/`
    #[arg(long, env = "GATEWAY_REDIRECT_DEFAULT", value_name = "URL")]
    redirect_default: Option<OsString>,
}

/// Places, and which one is meant where none is named.
#[derive(Clone, Debug)]
pub struct Redirects {
    allowed: Vec<Place>,
    default: Destination,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Exactly(Url),
    Anywhere(Origin),
}

/// A place that a browser may be sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    url: Url,
    /// A path of the origin that the browser is at; the URL's own is made up.
    own: bool,
}

impl Redirects {
    pub(super) fn read(args: RedirectArgs, faults: &mut ConfigErrors) -> Result<Self, Noted> {
        let urls = list_or_none(place);
        let allowed = faults.or("GATEWAY_REDIRECT_URLS", args.redirect_urls, Vec::new(), urls);
        let default = args.redirect_default;
        let default = faults.optional("GATEWAY_REDIRECT_DEFAULT", default, |text| {
            path(text).or_else(|| absolute(text)).filter(Destination::is_one).ok_or(DESTINATION)
        });
        let home = || path("/").ok_or_else(|| faults.note("GATEWAY_REDIRECT_DEFAULT", DESTINATION));
        Ok(Self { allowed: allowed?, default: default?.map_or_else(home, Ok)? })
    }

    /// The place that is asked for, if a browser may be sent there; else the default.
    #[must_use]
    pub fn destination(&self, asked: Option<&str>) -> Destination {
        let allowed = |destination: &Destination| {
            self.allowed.iter().any(|place| match place {
                Place::Exactly(url) => *url == destination.url,
                Place::Anywhere(origin) => *origin == destination.url.origin(),
            })
        };
        let asked = asked.and_then(|text| path(text).or_else(|| absolute(text).filter(allowed)));
        asked.unwrap_or_else(|| self.default.clone())
    }
}

/// The default, and what else is allowed.
impl fmt::Display for Redirects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.default.location())?;
        self.allowed.iter().try_for_each(|place| match place {
            Place::Exactly(url) => write!(f, ",{url}"),
            Place::Anywhere(origin) => write!(f, ",{}/*", origin.ascii_serialization()),
        })
    }
}

impl Destination {
    fn new(url: Url, own: bool) -> Option<Self> {
        let destination = Self { url, own };
        (destination.location().len() <= LONGEST).then_some(destination)
    }

    /// With `outcome` in its query. What somebody else put there is no outcome of this logout.
    #[must_use]
    pub fn with_outcome(&self, outcome: Option<&str>) -> Self {
        let mut url = self.url.clone();
        let pairs = self.url.query().unwrap_or_default().split('&');
        let others = pairs.filter(|pair| !pair.is_empty() && !is_outcome(pair));
        let others = others.collect::<Vec<_>>().join("&");
        url.set_query(Some(&*others).filter(|others| !others.is_empty()));
        if let Some(outcome) = outcome {
            url.query_pairs_mut().append_pair(OUTCOME, outcome);
        }
        Self { url, own: self.own }
    }

    /// Whether an operator who wrote it meant one place, and will get it as it is.
    fn is_one(&self) -> bool {
        let mut pairs = self.url.query().unwrap_or_default().split('&');
        !self.location().contains(['*', ',', ';']) && !pairs.any(is_outcome)
    }

    /// As the header `Location` has it.
    #[must_use]
    pub fn location(&self) -> &str {
        if self.own { &self.url[Position::BeforePath..] } else { self.url.as_str() }
    }
}

fn is_outcome(pair: &str) -> bool {
    form_urlencoded::parse(pair.as_bytes()).any(|(name, _)| name == OUTCOME)
}

/// A path of the own origin, as a browser reads it.
///
/// It is written as the URL standard writes it, in ASCII, and nothing that a browser or a proxy could
/// take for the beginning of a host: no `//`, no backslash, no `@`, no control character, and none of
/// these percent-encoded.
fn path(text: &str) -> Option<Destination> {
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
    let same = url.origin() == made_up()?.origin();
    if plain && same { Destination::new(url, true) } else { None }
}

fn absolute(text: &str) -> Option<Destination> {
    let http = text.starts_with("https://") || text.starts_with("http://");
    let url = strict(text).filter(|_| http)?;
    let credentials = !url.username().is_empty() || url.password().is_some();
    if credentials { None } else { Destination::new(url, false) }
}

fn place(text: &str) -> Result<Place, Rule> {
    let anywhere = text.strip_suffix("/*");
    let text = anywhere.unwrap_or(text);
    // A wildcard is a host like any other to the URL standard.
    let Destination { url, .. } = absolute(text).filter(Destination::is_one).ok_or(PLACES)?;
    match anywhere {
        None => Ok(Place::Exactly(url)),
        Some(_) if text == url.origin().ascii_serialization() => Ok(Place::Anywhere(url.origin())),
        Some(_) => Err(PLACES),
    }
}

/// Beside the deletions of cookies a proxy's buffer has no room for more.
const LONGEST: usize = 512;

fn strict(text: &str) -> Option<Url> {
    let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
    unrepaired(text, Some(&made_up()?)).filter(|_| printable)
}

/// An origin that nobody has (RFC 2606, section 2).
fn made_up() -> Option<Url> {
    Url::parse("https://own.invalid").ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::tests::{faults_of, parse};

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
    fn a_place_that_is_none_is_refused(#[case] variable: &str, #[case] text: &str) {
        let faults = faults_of(&[(variable, text)]);
        assert!(faults.len() == 1 && faults[0].starts_with(variable), "{faults:?}");
    }

    #[rstest]
    #[case::default(&[])]
    #[case::empty(&[("GATEWAY_REDIRECT_URLS", "")])]
    fn without_a_list_it_leads_home(#[case] given: &[(&str, &str)]) {
        let redirects = parse(given).redirects;
        assert_eq!(redirects.destination(Some("https://a.example/")).location(), "/");
    }
}
