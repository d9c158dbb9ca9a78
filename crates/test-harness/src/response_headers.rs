//! Strict assertions about the headers of a response.

use std::collections::BTreeSet;

use super::Reply;

/// The names of all headers that the gateway may send.
const KNOWN: [&str; 33] = [
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "allow",
    "cache-control",
    "connection",
    "content-length",
    "content-security-policy",
    "content-type",
    "date",
    "location",
    "pragma",
    "referrer-policy",
    "retry-after",
    "set-cookie",
    "strict-transport-security",
    "vary",
    "www-authenticate",
    "x-auth-aal",
    "x-auth-anonymous",
    "x-auth-carrier",
    "x-auth-client-id",
    "x-auth-reason",
    "x-auth-role",
    "x-auth-session-id",
    "x-auth-user-id",
    "x-content-type-options",
    "x-frame-options",
    "x-logout-cookies-left",
    "x-logout-outcome",
    "x-request-id",
];

/// Asserts that the response has only headers of `KNOWN`, each at most once except `Set-Cookie`, and that no
/// header value contains control characters.
#[track_caller]
pub fn assert_only_known_headers(reply: &Reply, case: &str) {
    let mut seen = BTreeSet::new();
    for (name, value) in &reply.headers {
        assert!(KNOWN.contains(&name.as_str()), "{case}: {name:?}");
        assert!(seen.insert(name) || name == "set-cookie", "{case}: {name} twice");
        assert!(!value.chars().any(char::is_control), "{case}: {name}: {value:?}");
    }
}

/// Asserts that the response deletes exactly the cookies in `names`: each with one `Set-Cookie` line without
/// `Domain` and with `Path=/`.
#[track_caller]
pub fn assert_deletes_cookies(reply: &Reply, names: &BTreeSet<&str>, case: &str) {
    let lines = reply.set_cookies();
    let deletion = |line: &&str| {
        let (name, attributes) = line.split_once("=; ").unwrap_or_else(|| panic!("{case}: {line}"));
        let mut attributes: Vec<&str> = attributes.split("; ").collect();
        attributes.sort_unstable();
        assert_eq!(attributes, ["Max-Age=0", "Path=/", "SameSite=Lax"], "{case}: {line}");
        name.len()
    };
    let deleted: Vec<&str> = lines.iter().map(|line| &line[..deletion(line)]).collect();
    assert_eq!(deleted.len(), names.len(), "{case}: {deleted:?}");
    assert_eq!(&deleted.into_iter().collect::<BTreeSet<_>>(), names, "{case}");
}
