//! The `Cookie` headers of a request: what is read of them, and the plan of what to delete.
//!
//! 1. Exactly the cookies of ours are seen, and a session only where one stands.
//! 2. Every `Set-Cookie` keeps RFC 6265bis, deletes a name of ours at a configured scope, and echoes
//!    no value; together they keep the budget, and tell how many names they leave.
//! 3. A browser that takes them and asks again is rid of all of ours, one call for a name at most.
#![no_main]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use axum::http::{HeaderMap, HeaderValue, header};
use libfuzzer_sys::{Corpus, fuzz_target};
use logout_gateway::internals::{config::{CSRF_COOKIE, CookieSecure, Cookies}, session::cookies::{RequestCookies, SessionCookie, deletion::{Deletions, RequestSite, plan}}};
use logout_gateway_fuzz::{
    cookie::{SetCookie, has_prefix, is_ours, pairs},
    jar::Jar,
    stored::access_token,
};
use secrecy::ExposeSecret;

/// More names would make an input slow and tell nothing new.
const MOST_NAMES: usize = 48;

/// A configuration, and whether its budget holds what every logout deletes.
static CONFIGURATIONS: LazyLock<[(Cookies, bool); 8]> = LazyLock::new(|| {
    let list = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let plain = Cookies {
        name: "sb-127-auth-token".to_owned(),
        domains: Vec::new(),
        paths: list(&["/"]),
        secure: CookieSecure::Auto,
        partitioned: false,
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
    judge(config, site, &lines);
    let names: BTreeSet<_> = sent.iter().map(|(name, _)| name).collect();
    let here = config.paths.iter().any(|path| path == "/");
    if site.is_https && here && *sufficient && names.len() <= MOST_NAMES {
        let mut jar = Jar::of(&sent, &config.domains);
        for _ in 0..=names.len() {
            for deletion in judge(config, site, &[&jar.header()]) {
                jar.take(&deletion);
            }
        }
        assert!(!jar.names().any(|name| is_ours(config, name)), "{jar:?} {config:?}");
    }
    Corpus::Keep
});

/// One request; answers its deletions.
fn judge(config: &Cookies, site: RequestSite, lines: &[&[u8]]) -> Vec<SetCookie> {
    let values = lines.iter().filter_map(|line| HeaderValue::from_bytes(line).ok());
    let headers: HeaderMap = values.map(|value| (header::COOKIE, value)).collect();
    let cookies = RequestCookies::of(&headers, config);

    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let sent = pairs(lines).into_iter().map(|(name, value)| (text(name), text(value)));
    let ours: Vec<_> = sent.filter(|(name, _)| is_ours(config, name)).collect();
    assert!(cookies.names().eq(ours.iter().map(|(name, _)| name)), "{ours:?}");
    for (name, value) in &ours {
        assert!(cookies.values(name).any(|v| v == value), "{name}");
    }
    if let SessionCookie::Session(session) = cookies.session(&config.name) {
        let read = access_token(&config.name, &ours);
        assert_eq!(read.as_deref(), Some(session.access_token.expose_secret()));
        assert!(session.refresh_token.is_none_or(|token| !token.expose_secret().is_empty()));
    }

    let names = ours.into_iter().map(|(name, _)| name).collect();
    judge_plan(config, site, names, &plan(config, config.budget, &cookies, site))
}

fn judge_plan(
    config: &Cookies,
    site: RequestSite,
    mut names: BTreeSet<String>,
    plan: &Deletions,
) -> Vec<SetCookie> {
    let lines: Vec<_> = plan.set_cookies.iter().map(|l| SetCookie::read(l.as_bytes())).collect();
    assert!(!lines.is_empty());
    let first_chunk = format!("{}.0", config.name);
    let shown = names.contains(&first_chunk);
    names.extend([config.name.clone(), CSRF_COOKIE.to_owned()]);
    if config.paths.iter().any(|path| path != "/") && !has_prefix(&first_chunk, "__Host-") {
        names.insert(first_chunk.clone());
    }
    let mut scopes: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for line in &lines {
        assert!(names.contains(&line.name), "neither ours nor sent: {line:?}");
        assert_eq!((line.value.as_str(), line.max_age), ("", 0), "{line:?}");
        judge_attributes(config, site, line);
        let scope = (&line.domain, &line.path, line.partitioned);
        let scopes = scopes.entry(&line.name).or_default();
        assert!(!scopes.contains(&scope), "twice: {line:?}");
        assert!(!scopes.is_empty() || line.domain.is_none(), "host-only comes first: {line:?}");
        scopes.push(scope);
    }

    let paths = |name: &str| {
        let elsewhere = name == first_chunk && !shown;
        config.paths.iter().filter(|path| !elsewhere || *path != "/").count()
    };
    let wanted = |name: &str| {
        let scopes =
            if has_prefix(name, "__Host-") { 1 } else { (1 + config.domains.len()) * paths(name) };
        scopes * (1 + usize::from(config.partitioned))
    };
    let whole = |name: &&String| scopes.get(name.as_str()).map_or(0, Vec::len) == wanted(name);
    assert_eq!(plan.names_left, names.len() - names.iter().filter(whole).count(), "{lines:?}");
    for (name, scopes) in &scopes {
        let always = [config.name.as_str(), first_chunk.as_str(), CSRF_COOKIE].contains(name);
        assert!(always || scopes.len() == wanted(name), "neither whole nor left: {name}");
    }
    let bytes: usize =
        plan.set_cookies.iter().map(|line| line.len() + "Set-Cookie: \r\n".len()).sum();
    // Of what is larger than the budget itself, one goes alone.
    assert!(bytes <= config.budget || scopes.len() == 1, "{bytes} {lines:?}");
    lines
}

fn judge_attributes(config: &Cookies, site: RequestSite, line: &SetCookie) {
    assert!(config.paths.contains(&line.path) || has_prefix(&line.name, "__Host-"), "{line:?}");
    assert!(line.domain.as_ref().is_none_or(|domain| config.domains.contains(domain)), "{line:?}");
    assert!(config.partitioned || !line.partitioned, "{line:?}");
    assert_eq!(line.same_site, if site.is_cross_site { "None" } else { "Lax" }, "{line:?}");
    let secure = line.partitioned
        || site.is_cross_site
        || has_prefix(&line.name, "__Host-")
        || has_prefix(&line.name, "__Secure-")
        || config.secure == CookieSecure::Always
        || config.secure == CookieSecure::Auto && site.is_https;
    assert_eq!(line.secure, secure, "{line:?}");
}
