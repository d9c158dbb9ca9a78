//! Feeds `Cookie` headers to the gateway's code that finds the session and that plans the deletion of
//! cookies.
//!
//! 1. The gateway finds exactly the cookies that a logout may delete, and finds a session only where there is
//!    one.
//! 2. Every `Set-Cookie` line follows RFC 6265bis, deletes a deletable cookie at a configured domain and
//!    path, and contains no value. All lines together keep within the budget in bytes, and the reported
//!    number of names that still have cookies is correct.
//! 3. A browser that applies the lines and repeats the request loses all deletable cookies, after at most one
//!    request per name.
#![no_main]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use axum::http::{HeaderMap, HeaderValue, header};
use libfuzzer_sys::{Corpus, fuzz_target};
use logout_gateway::internals::{
    config::{CSRF_COOKIE, CookieSameSite, CookieSecure, Cookies},
    session::cookies::{
        RequestCookies,
        deletion::{Deletions, RequestSite, plan},
    },
};
use logout_gateway_fuzz::{
    cookie::{SetCookie, has_prefix, is_deletable, pairs},
    cookie_jar::CookieJar,
    stored::access_token,
};
use secrecy::ExposeSecret;

/// The most cookie names of one input. More names would only make the input slow.
const MAX_NAMES: usize = 48;

/// The configurations, each with whether its budget is large enough for the cookies that every logout
/// deletes.
static CONFIGURATIONS: LazyLock<[(Cookies, bool); 8]> = LazyLock::new(|| {
    let list = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let plain = Cookies {
        name: "sb-127-auth-token".to_owned(),
        domains: Vec::new(),
        paths: list(&["/"]),
        secure: CookieSecure::Auto,
        partitioned: false,
        refresh_name: None,
        same_site: CookieSameSite::Lax,
        extra: Vec::new(),
        budget: 3072,
    };
    let named = |name: &str| Cookies { name: name.to_owned(), ..plain.clone() };
    let scopes = Cookies {
        domains: list(&["example.com", "a.example.com"]),
        paths: list(&["/", "/app"]),
        extra: list(&["mine", "__Secure-mine"]),
        ..plain.clone()
    };
    [
        (plain.clone(), true),
        (scopes.clone(), true),
        (Cookies { partitioned: true, extra: list(&["mine"]), ..plain.clone() }, true),
        (Cookies { secure: CookieSecure::Always, ..named("__Host-session") }, true),
        (
            Cookies { domains: list(&["example.com"]), budget: 1200, ..named("__Secure-session") },
            true,
        ),
        (Cookies { budget: 256, ..scopes.clone() }, false),
        (Cookies { paths: list(&["/app"]), secure: CookieSecure::Never, ..scopes }, true),
        (Cookies { extra: list(&["a.1", "a-user", CSRF_COOKIE]), budget: 320, ..named("a") }, true),
    ]
});

fuzz_target!(|input: &[u8]| -> Corpus {
    let [configuration, site, headers @ ..] = input else { return Corpus::Reject };
    let (config, sufficient) = &CONFIGURATIONS[usize::from(configuration % 8)];
    let site = RequestSite { is_https: site & 1 != 0, is_cross_site: site & 2 != 0 };
    let lines = headers.split(|byte| *byte == b'\n');
    let lines: Vec<&[u8]> = lines.filter(|line| HeaderValue::from_bytes(line).is_ok()).collect();

    let sent = pairs(&lines);
    check_request(config, site, &lines);
    let names: BTreeSet<_> = sent.iter().map(|(name, _)| name).collect();
    let has_root_path = config.paths.iter().any(|path| path == "/");
    if site.is_https && has_root_path && *sufficient && names.len() <= MAX_NAMES {
        let mut jar = CookieJar::from_cookies(&sent, &config.domains);
        for _ in 0..=names.len() {
            for deletion in check_request(config, site, &[&jar.header()]) {
                jar.delete(&deletion);
            }
        }
        assert!(!jar.names().any(|name| is_deletable(config, name)), "{jar:?} {config:?}");
    }
    Corpus::Keep
});

/// Checks the gateway's result for one request; returns the deletions that the browser must apply.
fn check_request(config: &Cookies, site: RequestSite, lines: &[&[u8]]) -> Vec<SetCookie> {
    let values = lines.iter().filter_map(|line| HeaderValue::from_bytes(line).ok());
    let headers: HeaderMap = values.map(|value| (header::COOKIE, value)).collect();
    let cookies = RequestCookies::of(&headers, config);

    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let sent = pairs(lines).into_iter().map(|(name, value)| (text(name), text(value)));
    let deletable: Vec<_> = sent.filter(|(name, _)| is_deletable(config, name)).collect();
    assert!(cookies.names().eq(deletable.iter().map(|(name, _)| name)), "{deletable:?}");
    for (name, value) in &deletable {
        assert!(cookies.values(name).any(|v| v == value), "{name}");
    }
    let sessions = cookies.sessions(config).sessions;
    for session in &sessions {
        assert!(session.refresh_tokens.iter().all(|token| !token.expose_secret().is_empty()));
    }
    let is_read = |token: &str| sessions.iter().any(|s| s.access_token.expose_secret() == token);
    let first = access_token(&config.name, &deletable);
    assert!(first.is_none_or(|token| is_read(&token)), "{deletable:?}");

    let names = deletable.into_iter().map(|(name, _)| name).collect();
    check_plan(config, site, names, &plan(config, config.budget, &cookies, site))
}

fn check_plan(
    config: &Cookies,
    site: RequestSite,
    mut names: BTreeSet<String>,
    plan: &Deletions,
) -> Vec<SetCookie> {
    let lines: Vec<_> = plan.set_cookies.iter().map(|l| SetCookie::parse(l.as_bytes())).collect();
    assert!(!lines.is_empty());
    let first_chunk = format!("{}.0", config.name);
    let shown = names.contains(&first_chunk);
    names.extend([config.name.clone(), CSRF_COOKIE.to_owned()]);
    if config.paths.iter().any(|path| path != "/") && !has_prefix(&first_chunk, "__Host-") {
        names.insert(first_chunk.clone());
    }
    let mut scopes: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for line in &lines {
        assert!(
            names.contains(&line.name),
            "the cookie was not sent or belongs to another application: {line:?}"
        );
        assert_eq!((line.value.as_str(), line.max_age), ("", 0), "{line:?}");
        check_attributes(config, site, line);
        let scope = (&line.domain, &line.path, line.partitioned);
        let scopes = scopes.entry(&line.name).or_default();
        assert!(!scopes.contains(&scope), "deleted twice: {line:?}");
        assert!(
            !scopes.is_empty() || line.domain.is_none(),
            "the host-only cookie must be deleted first: {line:?}"
        );
        scopes.push(scope);
    }

    let paths = |name: &str| {
        let is_elsewhere = name == first_chunk && !shown;
        config.paths.iter().filter(|path| !is_elsewhere || *path != "/").count()
    };
    let expected_lines = |name: &str| {
        let scopes =
            if has_prefix(name, "__Host-") { 1 } else { (1 + config.domains.len()) * paths(name) };
        scopes * (1 + usize::from(config.partitioned))
    };
    let is_deleted =
        |name: &&String| scopes.get(name.as_str()).map_or(0, Vec::len) == expected_lines(name);
    assert_eq!(plan.names_left, names.len() - names.iter().filter(is_deleted).count(), "{lines:?}");
    for (name, scopes) in &scopes {
        let always = [config.name.as_str(), first_chunk.as_str(), CSRF_COOKIE].contains(name);
        assert!(
            always || scopes.len() == expected_lines(name),
            "only a part of the lines for {name}"
        );
    }
    let bytes: usize =
        plan.set_cookies.iter().map(|line| line.len() + "Set-Cookie: \r\n".len()).sum();
    // If the lines of one name exceed the budget, the response deletes only that name.
    assert!(bytes <= config.budget || scopes.len() == 1, "{bytes} {lines:?}");
    lines
}

fn check_attributes(config: &Cookies, site: RequestSite, line: &SetCookie) {
    assert!(config.paths.contains(&line.path) || has_prefix(&line.name, "__Host-"), "{line:?}");
    assert!(line.domain.as_ref().is_none_or(|domain| config.domains.contains(domain)), "{line:?}");
    assert!(config.partitioned || !line.partitioned, "{line:?}");
    let is_none = site.is_cross_site || line.partitioned;
    assert_eq!(line.same_site, if is_none { "None" } else { "Lax" }, "{line:?}");
    let secure = is_none
        || has_prefix(&line.name, "__Host-")
        || has_prefix(&line.name, "__Secure-")
        || config.secure == CookieSecure::Always
        || config.secure == CookieSecure::Auto && site.is_https;
    assert_eq!(line.secure, secure, "{line:?}");
}
