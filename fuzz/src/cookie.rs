//! An independent implementation of section 6 of the contract: it parses `Set-Cookie` lines (RFC 6265bis) and
//! decides which cookies a logout may delete.

use logout_gateway::internals::config::{CSRF_COOKIE, Cookies};

/// A `Set-Cookie` line that follows RFC 6265bis, section 4.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetCookie {
    /// The name of the cookie.
    pub name: String,
    /// The value of the cookie.
    pub value: String,
    /// The attribute `Domain`; `None` for a host-only cookie.
    pub domain: Option<String>,
    /// The attribute `Path`, which every line must have.
    pub path: String,
    /// The attribute `SameSite`, which is `Lax` or `None`.
    pub same_site: String,
    /// The attribute `Max-Age`, in seconds.
    pub max_age: u64,
    /// Whether the line has the attribute `Secure`.
    pub secure: bool,
    /// Whether the line has the attribute `Partitioned`.
    pub partitioned: bool,
}

impl SetCookie {
    /// Parses a `Set-Cookie` line; panics if the line breaks a rule of RFC 6265bis or of the contract.
    #[must_use]
    pub fn parse(line: &[u8]) -> Self {
        let line = std::str::from_utf8(line).expect("ASCII");
        assert!(line.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{line}");
        let mut parts = line.split("; ");
        let (name, value) = parts.next().and_then(|pair| pair.split_once('=')).expect("a pair");
        assert!(is_token(name), "{line}");
        assert!(value.bytes().all(is_cookie_octet), "{line}");
        let mut read = Self {
            name: name.to_owned(),
            value: value.to_owned(),
            domain: None,
            path: String::new(),
            same_site: String::new(),
            max_age: u64::MAX,
            secure: false,
            partitioned: false,
        };
        let mut seen = Vec::new();
        for attribute in parts {
            let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            assert!(!seen.contains(&name), "an attribute is repeated: {line}");
            assert!(!value.contains(';'), "{line}");
            seen.push(name);
            match name {
                "Max-Age" => read.max_age = value.parse().expect("seconds"),
                "Path" => value.clone_into(&mut read.path),
                "Domain" => read.domain = Some(value.to_owned()),
                "SameSite" => value.clone_into(&mut read.same_site),
                "Secure" => read.secure = true,
                "Partitioned" => read.partitioned = true,
                _ => panic!("unknown attribute: {line}"),
            }
        }
        read.assert_accepted_by_browsers(line);
        read
    }

    /// Asserts that a browser does not ignore the `Set-Cookie` line (RFC 6265bis, section 5.7).
    fn assert_accepted_by_browsers(&self, line: &str) {
        assert!(self.path.starts_with('/'), "{line}");
        assert!(matches!(self.same_site.as_str(), "Lax" | "None"), "{line}");
        assert!(self.secure || self.same_site == "Lax", "None needs Secure: {line}");
        assert!(self.secure || !self.partitioned, "Partitioned needs Secure: {line}");
        if has_prefix(&self.name, "__Secure-") {
            assert!(self.secure, "{line}");
        }
        if has_prefix(&self.name, "__Host-") {
            assert!(self.secure && self.domain.is_none() && self.path == "/", "{line}");
        }
    }
}

/// Returns whether the name starts with `prefix`, whatever the case of the letters.
#[must_use]
pub fn has_prefix(name: &str, prefix: &str) -> bool {
    name.to_ascii_lowercase().starts_with(&prefix.to_ascii_lowercase())
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&byte))
}

fn is_cookie_octet(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\",;\\".contains(&byte)
}

/// Returns whether a logout may delete a cookie with this name.
#[must_use]
pub fn is_deletable(config: &Cookies, name: &str) -> bool {
    if [CSRF_COOKIE, "sb-access-token", "sb-refresh-token"].contains(&name)
        || config.extra.iter().any(|extra| extra == name)
    {
        return true;
    }
    let whole = without_chunk(name);
    [name, whole].iter().filter_map(|name| name.strip_prefix(config.name.as_str())).any(|suffix| {
        let flow = || {
            let id: Option<&str> = suffix.strip_prefix("-flow-")?.strip_suffix("-code-verifier");
            let known = |c: char| matches!(c, 'A'..='Z' | 'a'..='z' | '0'..='9' | '_' | '-');
            Some((8..65).contains(&id?.len()) && id?.chars().all(known))
        };
        ["", "-user", "-code-verifier", "-flows-code-verifier"].contains(&suffix)
            || flow() == Some(true)
    })
}

/// The cookie's name without `.n` at its end, where n is a number of up to 64 digits without leading zeros.
fn without_chunk(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((whole, "0")) => whole,
        Some((whole, number)) => {
            let mut digits = number.chars();
            let first = digits.next().is_some_and(|c| ('1'..='9').contains(&c));
            let number = first && number.len() <= 64 && digits.all(|c| c.is_ascii_digit());
            if number { whole } else { name }
        }
        None => name,
    }
}

/// Name and value of every cookie in the `Cookie` headers, parsed as RFC 6265bis requires of servers.
#[must_use]
pub fn pairs<'h>(headers: &[&'h [u8]]) -> Vec<(&'h [u8], &'h [u8])> {
    let pairs = headers.iter().flat_map(|header| header.split(|byte| *byte == b';'));
    let pairs = pairs.filter_map(|pair| {
        let at = pair.iter().position(|byte| *byte == b'=')?;
        Some((pair[..at].trim_ascii(), pair[at + 1..].trim_ascii()))
    });
    pairs.filter(|(name, _)| !name.is_empty()).collect()
}
