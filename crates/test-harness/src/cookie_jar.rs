//! Stores cookies as a browser does: RFC 6265, section 5, and the parts of RFC 6265bis (name prefixes,
//! `Secure`, `SameSite` for requests from other sites) and of CHIPS (`Partitioned`) that the tests need.

/// The URL of a request and whether a page of another site sends it. Both decide which cookies are sent and
/// stored.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    pub host: &'static str,
    pub path: &'static str,
    pub https: bool,
    /// Whether the request is a `fetch` with credentials by a page of another site.
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

/// The cookies that a browser has stored, for all hosts.
#[derive(Clone, Debug, Default)]
pub struct CookieJar(Vec<Cookie>);

impl CookieJar {
    /// Processes one `Set-Cookie` line of a response to `page`: stores, replaces or deletes a cookie, or
    /// ignores the line if a browser must ignore it.
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
        let expired =
            last("max-age").is_some_and(|age| age.parse::<i64>().is_ok_and(|age| age <= 0));
        if !expired {
            self.0.push(Cookie { key, value: value.to_owned(), secure, same_site_none });
        }
    }

    /// Stores a host-only cookie (no `Domain`) with `Path=/`, as a script or an earlier response may have
    /// done.
    pub fn insert(&mut self, page: Page, name: &str, value: &str) {
        self.store_set_cookie(page, &format!("{name}={value}; Path=/"));
    }

    /// The names and values that the browser sends with a request to `page`, cookies with longer paths first.
    pub fn cookies_for(&self, page: Page) -> Vec<(String, String)> {
        let is_sent = |cookie: &&Cookie| {
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
        let mut sent: Vec<&Cookie> = self.0.iter().filter(is_sent).collect();
        sent.sort_by_key(|cookie| std::cmp::Reverse(cookie.key.path.len()));
        sent.into_iter().map(|c| (c.key.name.clone(), c.value.clone())).collect()
    }

    /// The names of all stored cookies, whatever their domain and path.
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
fn cookies_are_stored_and_sent_as_a_browser_does() {
    let page = Page { host: "app.example.com", path: "/app/x", https: true, cross_site: false };
    let mut jar = CookieJar::default();
    jar.store_set_cookie(page, "a=1; Path=/; Domain=example.com");
    jar.store_set_cookie(page, "a=2; Path=/app");
    jar.store_set_cookie(page, "b=3; Domain=other.com");
    jar.store_set_cookie(page, "__Host-c=4; Path=/app; Secure");
    let sent: Vec<_> = jar.cookies_for(page).into_iter().map(|(_, value)| value).collect();
    assert_eq!(sent, ["2", "1"]);
    jar.store_set_cookie(page, "a=; Path=/; Max-Age=0");
    assert_eq!(jar.names().len(), 2, "a cookie with another domain or path is kept");
    jar.store_set_cookie(Page { https: false, ..page }, "a=; Path=/app; Max-Age=0; Secure");
    jar.store_set_cookie(
        Page { cross_site: true, ..page },
        "a=; Path=/app; Max-Age=0; SameSite=Lax",
    );
    assert_eq!(
        jar.names().len(),
        2,
        "browsers ignore Secure over http, and SameSite=Lax from another site"
    );
    jar.store_set_cookie(page, "a=; Path=/app; Max-Age=0");
    jar.store_set_cookie(page, "a=; Path=/; Domain=.example.com; Max-Age=0");
    assert!(jar.is_empty());
}
