//! A browser's cookies: RFC 6265 section 5 with the additions of RFC 6265bis that tests need (prefixes,
//! `Secure`, `SameSite` across sites) and CHIPS.

/// Where a page is: what its cookies are matched against.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    pub host: &'static str,
    pub path: &'static str,
    pub https: bool,
    /// Asked by a page of another site, as a credentialed `fetch` does.
    pub cross_site: bool,
}

impl Page {
    pub const LOCAL: Self = Self { host: "127.0.0.1", path: "/", https: false, cross_site: false };
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    name: String,
    domain: String,
    host_only: bool,
    path: String,
    partitioned: bool,
}

#[derive(Clone, Debug)]
struct Cookie {
    key: Key,
    value: String,
    secure: bool,
    same_site_none: bool,
}

/// The cookies that a browser keeps.
#[derive(Clone, Debug, Default)]
pub struct CookieJar(Vec<Cookie>);

impl CookieJar {
    /// What a browser does with a `Set-Cookie` line from `page`.
    pub fn store_set_cookie(&mut self, page: Page, line: &str) {
        let mut parts = line.split(';').map(str::trim);
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else {
            return;
        };
        let attributes: Vec<(String, &str)> = parts
            .map(|part| part.split_once('=').unwrap_or((part, "")))
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .collect();
        let last = |wanted: &str| {
            attributes.iter().rev().find(|(name, _)| name == wanted).map(|(_, value)| *value)
        };
        let domain = last("domain").map(|d| d.trim_start_matches('.')).filter(|d| !d.is_empty());
        if domain.is_some_and(|domain| !domain_matches(page.host, domain)) {
            return;
        }
        let path = last("path").filter(|path| path.starts_with('/')).unwrap_or("/");
        let secure = last("secure").is_some();
        let same_site_none = last("samesite").is_some_and(|s| s.eq_ignore_ascii_case("none"));
        let partitioned = last("partitioned").is_some();
        let lower = name.to_ascii_lowercase();
        let host_prefix = lower.starts_with("__host-");
        let must_be_secure =
            same_site_none || partitioned || host_prefix || lower.starts_with("__secure-");
        let refused = (secure && !page.https)
            || (must_be_secure && !secure)
            || (page.cross_site && !same_site_none)
            || (host_prefix && (domain.is_some() || path != "/"));
        if refused {
            return;
        }
        let key = Key {
            name: name.to_owned(),
            domain: domain.unwrap_or(page.host).to_ascii_lowercase(),
            host_only: domain.is_none(),
            path: path.to_owned(),
            partitioned,
        };
        self.0.retain(|cookie| cookie.key != key);
        let ended = last("max-age").is_some_and(|age| age.parse::<i64>().is_ok_and(|age| age <= 0));
        if !ended {
            self.0.push(Cookie { key, value: value.to_owned(), secure, same_site_none });
        }
    }

    /// What a script or an earlier response left at `page`, host-only.
    pub fn insert(&mut self, page: Page, name: &str, value: &str) {
        self.store_set_cookie(page, &format!("{name}={value}; Path=/"));
    }

    /// Every cookie that goes with a request to `page`, those of longer paths first.
    pub fn cookies_for(&self, page: Page) -> Vec<(String, String)> {
        let goes = |cookie: &&Cookie| {
            let Key { domain, host_only, path, .. } = &cookie.key;
            let host =
                if *host_only { page.host == domain } else { domain_matches(page.host, domain) };
            let below = page.path == path
                || (page.path.starts_with(path.as_str())
                    && (path.ends_with('/') || page.path[path.len()..].starts_with('/')));
            host && below
                && (page.https || !cookie.secure)
                && (!page.cross_site || cookie.same_site_none)
        };
        let mut sent: Vec<&Cookie> = self.0.iter().filter(goes).collect();
        sent.sort_by_key(|cookie| std::cmp::Reverse(cookie.key.path.len()));
        sent.into_iter().map(|c| (c.key.name.clone(), c.value.clone())).collect()
    }

    /// The names of all cookies, wherever they are.
    pub fn names(&self) -> Vec<&str> {
        self.0.iter().map(|cookie| cookie.key.name.as_str()).collect()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn domain_matches(host: &str, domain: &str) -> bool {
    let (host, domain) = (host.to_ascii_lowercase(), domain.to_ascii_lowercase());
    host == domain || host.strip_suffix(&domain).is_some_and(|rest| rest.ends_with('.'))
}

#[test]
fn the_jar_keeps_cookies_as_a_browser_does() {
    let here = Page { host: "app.example.com", path: "/app/x", https: true, cross_site: false };
    let mut jar = CookieJar::default();
    jar.store_set_cookie(here, "a=1; Path=/; Domain=example.com");
    jar.store_set_cookie(here, "a=2; Path=/app");
    jar.store_set_cookie(here, "b=3; Domain=other.com");
    jar.store_set_cookie(here, "__Host-c=4; Path=/app; Secure");
    let sent: Vec<_> = jar.cookies_for(here).into_iter().map(|(_, value)| value).collect();
    assert_eq!(sent, ["2", "1"]);
    jar.store_set_cookie(here, "a=; Path=/; Max-Age=0");
    assert_eq!(jar.names().len(), 2, "another scope than both");
    jar.store_set_cookie(Page { https: false, ..here }, "a=; Path=/app; Max-Age=0; Secure");
    jar.store_set_cookie(
        Page { cross_site: true, ..here },
        "a=; Path=/app; Max-Age=0; SameSite=Lax",
    );
    assert_eq!(jar.names().len(), 2, "ignored by browsers");
    jar.store_set_cookie(here, "a=; Path=/app; Max-Age=0");
    jar.store_set_cookie(here, "a=; Path=/; Domain=.example.com; Max-Age=0");
    assert!(jar.is_empty());
}
