//! Feeds requests to the CSRF check, which depends on the page that sends the request and on the CSRF token.
//!
//! 1. The gateway accepts a token if and only if the header equals a cookie and the gateway issued the token,
//!    with its current or its previous secret, for a binding that the request accepts.
//! 2. The gateway refuses a changed token, and one that is bound to another session or access token.
//! 3. The gateway refuses a request from a page of another origin.
#![no_main]

use std::sync::LazyLock;

use arbitrary::Arbitrary;
use axum::http::{HeaderMap, HeaderValue, header};
use libfuzzer_sys::fuzz_target;
use logout_gateway::internals::csrf::{
    Binding, BoundTo, Csrf, CsrfError, origin::SEC_FETCH_SITE, submitted::SubmittedToken,
};
use logout_gateway_fuzz::configuration;
use seeds::{ALLOWED_ORIGIN, PREVIOUS_SECRET, SECRET, csrf::minted};
use uuid::Uuid;

static CSRF: LazyLock<Csrf> = LazyLock::new(|| {
    let secrets = [("secret", SECRET), ("secret-previous", PREVIOUS_SECRET)];
    let origins = [("allowed-origins", ALLOWED_ORIGIN)];
    let config = configuration::of(&[secrets.as_slice(), &origins].concat());
    Csrf::new(&config).expect("the system has randomness")
});

#[derive(Arbitrary, Debug)]
struct Input {
    session_id: u128,
    /// The digest of the access token; `None` if the request accepts no CSRF token that is bound to one.
    access_token: Option<[u8; 32]>,
    header: Option<Token>,
    cookies: Vec<Token>,
    page: Page,
}

#[derive(Arbitrary, Clone, Debug)]
enum Token {
    Text(String),
    Minted {
        signed_with: Secret,
        bound_to: Target,
        random: Vec<u8>,
        change: Option<Change>,
    },
    /// The cookie has the same token as the header.
    Same,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Target {
    Session,
    /// The token is bound to the request's access token, even if the request refuses that binding.
    AccessToken,
    AnotherSession(u128),
    AnotherAccessToken([u8; 32]),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Secret {
    Current,
    Previous,
    Foreign,
}

#[derive(Arbitrary, Clone, Debug)]
enum Change {
    Replace(usize, u8),
    Insert(usize, u8),
    Remove(usize),
    Append(String),
}

#[derive(Arbitrary, Debug)]
struct Page {
    site: Option<Site>,
    origin: Option<Origin>,
    referer: Option<Origin>,
    own: Option<OwnOrigin>,
}

#[derive(Arbitrary, Clone, Debug)]
#[expect(clippy::enum_variant_names, reason = "the values of Sec-Fetch-Site")]
enum Site {
    SameOrigin,
    SameSite,
    CrossSite,
    None,
    Other(Vec<u8>),
}

#[derive(Arbitrary, Clone, Debug)]
enum Origin {
    Own,
    Allowed,
    /// An origin whose text contains the gateway's own origin, or an allowed one if `allowed` is true.
    Similar {
        allowed: bool,
        before: String,
        after: String,
    },
    Null,
    Other(Vec<u8>),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum OwnOrigin {
    Http,
    Https,
    Port,
}

fuzz_target!(|input: Input| {
    check_token(&input);
    check_page(&input.page);
});

impl Input {
    fn session_id(&self) -> Uuid {
        Uuid::from_u128(self.session_id)
    }

    fn access_token(&self) -> [u8; 32] {
        self.access_token.unwrap_or([7; 32])
    }

    /// The bindings of CSRF tokens that the request accepts, as the gateway's type.
    fn bindings(&self) -> Vec<Binding> {
        let of_token = self.access_token.map(BoundTo::AccessToken);
        let bound = of_token.into_iter().chain([BoundTo::Session(self.session_id())]);
        bound.map(|bound| Binding::to([bound])).collect()
    }

    /// The bindings of CSRF tokens that the request accepts, as the bytes that a token signs.
    fn accepted_bindings(&self) -> Vec<Vec<u8>> {
        let of_token = self.access_token.map(|digest| digest.to_vec());
        of_token.into_iter().chain([self.session_id().as_bytes().to_vec()]).collect()
    }

    fn binding_bytes(&self, bound_to: Target) -> Vec<u8> {
        match bound_to {
            Target::Session => self.session_id().as_bytes().to_vec(),
            Target::AccessToken => self.access_token().to_vec(),
            Target::AnotherSession(id) => Uuid::from_u128(id).as_bytes().to_vec(),
            Target::AnotherAccessToken(digest) => digest.to_vec(),
        }
    }

    /// The token as text, as the request sends it. `same` is the text of the token in the header.
    fn text_of(&self, token: &Token, same: &str) -> String {
        match token {
            Token::Text(text) => text.clone(),
            Token::Same => same.to_owned(),
            Token::Minted { signed_with, bound_to, random, change } => {
                let secret = match signed_with {
                    Secret::Current => SECRET,
                    Secret::Previous => PREVIOUS_SECRET,
                    Secret::Foreign => "another-gateways-secret-0123456789-abcdefg",
                };
                let mut random = random.clone();
                // Give most tokens the length that the gateway uses.
                if random.first().is_none_or(|byte| *byte < 240) {
                    random.resize(32, 0);
                }
                let token = minted(secret, &self.binding_bytes(*bound_to), &random);
                change.as_ref().map_or(token.clone(), |change| apply_change(&token, change))
            }
        }
    }

    /// Returns whether the gateway issued the token for this request, by issuing it again for comparison.
    fn accepts(&self, token: &str) -> bool {
        use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
        let Some((random, _)) = token.split_once('.') else { return false };
        let Ok(random) = BASE64_URL_SAFE_NO_PAD.decode(random) else { return false };
        let minted_for = |binding: &Vec<u8>| {
            [SECRET, PREVIOUS_SECRET].iter().any(|secret| minted(secret, binding, &random) == token)
        };
        random.len() == 32 && self.accepted_bindings().iter().any(minted_for)
    }
}

fn check_token(input: &Input) {
    let header = input.header.as_ref().map(|token| input.text_of(token, ""));
    let same = header.as_deref().unwrap_or_default();
    let cookies: Vec<String> = input.cookies.iter().map(|c| input.text_of(c, same)).collect();
    let bindings = input.bindings();

    let actual = CSRF.check_double_submit(
        header.as_deref().map(|text| SubmittedToken::new(text.as_bytes())),
        cookies.iter().map(String::as_str),
        &bindings,
    );
    let is_valid = !same.is_empty() && cookies.iter().any(|c| c == same) && input.accepts(same);
    let is_missing = same.is_empty() || cookies.iter().all(String::is_empty);
    let expected = match (is_valid, is_missing) {
        (true, _) => Ok(()),
        (false, true) => Err(CsrfError::Missing),
        (false, false) => Err(CsrfError::Invalid),
    };
    assert_eq!(actual, expected, "{header:?} {cookies:?}");

    for token in input.header.iter().chain(&input.cookies) {
        let text = input.text_of(token, same);
        assert_eq!(CSRF.is_valid(&text, &bindings), input.accepts(&text), "{token:?}");
        if let Token::Minted { signed_with, bound_to, random, change } = token {
            let untouched = Token::Minted {
                signed_with: *signed_with,
                bound_to: *bound_to,
                random: random.clone(),
                change: None,
            };
            let is_changed = text != input.text_of(&untouched, same);
            let is_other_binding =
                !input.accepted_bindings().contains(&input.binding_bytes(*bound_to));
            if is_changed || is_other_binding || matches!(signed_with, Secret::Foreign) {
                assert!(!CSRF.is_valid(&text, &bindings), "{token:?} {change:?}");
            }
        }
    }
}

fn apply_change(token: &str, change: &Change) -> String {
    let mut bytes = token.as_bytes().to_vec();
    let at = |at: usize| at % token.len();
    match change {
        Change::Replace(index, byte) => bytes[at(*index)] = byte & 0x7f,
        Change::Insert(index, byte) => bytes.insert(at(*index), byte & 0x7f),
        Change::Remove(index) => drop(bytes.remove(at(*index))),
        Change::Append(text) => bytes.extend(text.as_bytes()),
    }
    String::from_utf8(bytes).unwrap_or_default()
}

fn check_page(page: &Page) {
    let own = page.own.map(|own| match own {
        OwnOrigin::Http => "http://auth.example.com",
        OwnOrigin::Https => "https://auth.example.com",
        OwnOrigin::Port => "http://127.0.0.1:8080",
    });
    let mut headers = HeaderMap::new();
    let mut insert = |name, value: Option<Vec<u8>>| {
        let value = value.and_then(|value| HeaderValue::from_bytes(&value).ok());
        value.inspect(|value| {
            headers.insert(name, value.clone());
        })
    };
    let site = insert(SEC_FETCH_SITE, page.site.clone().map(site));
    let origin = insert(header::ORIGIN, page.origin.clone().map(|o| self::origin(o, own)));
    let referer = insert(header::REFERER, page.referer.clone().map(|o| self::origin(o, own)));

    let allowed = CSRF.allowed_origins.check(&headers, own).is_ok();
    let page_origin = match (&origin, &referer) {
        (Some(origin), _) => Some(origin.to_str().unwrap_or("?").to_owned()),
        (None, Some(referer)) => Some(origin_of(referer).unwrap_or_default()),
        (None, None) => None,
    };
    let is_own_page = page_origin.is_some() && page_origin.as_deref() == own;
    let in_list = page_origin.as_deref() == Some(ALLOWED_ORIGIN);
    let expected = match site.as_ref().map(HeaderValue::as_bytes) {
        Some(b"same-origin" | b"none") => true,
        _ if page_origin.as_deref() == Some("null") => false,
        Some(b"cross-site" | b"same-site") => in_list,
        Some(_) => is_own_page || in_list,
        None => is_own_page || in_list || page_origin.is_none(),
    };
    // This target parses a `Referer` more leniently than the gateway, so the gateway may refuse more of them.
    if origin.is_some() || referer.is_none() {
        assert_eq!(allowed, expected, "{headers:?} {own:?}");
    }
    assert!(!allowed || expected, "{headers:?} {own:?}");
}

fn site(site: Site) -> Vec<u8> {
    match site {
        Site::SameOrigin => b"same-origin".into(),
        Site::SameSite => b"same-site".into(),
        Site::CrossSite => b"cross-site".into(),
        Site::None => b"none".into(),
        Site::Other(text) => text,
    }
}

fn origin(origin: Origin, own: Option<&str>) -> Vec<u8> {
    let own = own.unwrap_or("http://nobody.example.com");
    match origin {
        Origin::Own => own.into(),
        Origin::Allowed => ALLOWED_ORIGIN.into(),
        Origin::Similar { allowed, before, after } => {
            let original = if allowed { ALLOWED_ORIGIN } else { own };
            format!("{before}{original}{after}").into()
        }
        Origin::Null => b"null".into(),
        Origin::Other(text) => text,
    }
}

/// The origin of a URL as a browser parses it (WHATWG URL), as far as that matters for the origins of this
/// target: in lower case, without default ports and without characters that a browser removes.
fn origin_of(address: &HeaderValue) -> Option<String> {
    let text = address.to_str().ok()?.trim().replace('\t', "").replace('\\', "/");
    let (scheme, rest) = text.split_once(':')?;
    let scheme = scheme.to_ascii_lowercase();
    let default_port = match scheme.as_str() {
        "http" => ":80",
        "https" => ":443",
        _ => return None,
    };
    let authority = rest.trim_start_matches('/').split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?.to_ascii_lowercase();
    let host = host.strip_suffix(default_port).unwrap_or(&host);
    let host = host.strip_suffix(':').unwrap_or(host);
    Some(format!("{scheme}://{}", percent_encoding::percent_decode_str(host).decode_utf8().ok()?))
}
