//! Tests that reading arbitrary cookies never panics, and that no deletion names a cookie of another
//! application.

use axum::http::HeaderValue;
use base64::Engine as _;
use proptest::prelude::*;
use secrecy::ExposeSecret;

use super::{
    deletion::{RequestSite, plan},
    *,
};
use crate::config::{CookieSameSite, CookieSecure};

const K: &str = "sb-abc-auth-token";

fn config(name: &str, budget: usize) -> Cookies {
    Cookies {
        name: name.to_owned(),
        domains: vec!["example.com".to_owned()],
        paths: vec!["/".to_owned(), "/app".to_owned()],
        refresh_name: None,
        secure: CookieSecure::Auto,
        same_site: CookieSameSite::Lax,
        partitioned: false,
        extra: vec!["mine".to_owned()],
        budget,
    }
}

fn headers(lines: &[Vec<u8>]) -> HeaderMap {
    let values = lines.iter().filter_map(|line| HeaderValue::from_bytes(line).ok());
    values.map(|value| (header::COOKIE, value)).collect()
}

/// Arbitrary octets, and cookies whose names resemble those of the library.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let near = "(sb-abc-auth-token|sb-abc-auth-token\\.[0-9]{1,3}|sb-abc-auth-token[-.][a-z0-9.-]{0,20}|mine|[a-z]{1,4})=(base64-[A-Za-z0-9_-]{0,40}|\\PC{0,20}|%[0-9a-fA-F]{0,3}|\\[\"a\",\"b\"\\])";
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        prop::collection::vec(near, 0..12).prop_map(|pairs| pairs.join("; ").into_bytes()),
    ]
}

#[test]
fn only_cookies_that_a_logout_needs_are_read() {
    let config = config(K, 3072);
    let foreign: Vec<_> = (0..10_000).map(|n| format!("foreign-{n}=value-{n}")).collect();
    // The second line is not UTF-8.
    let lines =
        [foreign.join("; ").into_bytes(), [foreign.join("; ").as_bytes(), b"\xff"].concat()];
    let all_foreign = headers(&lines);
    assert_eq!(all_foreign.len(), 2);
    let cookies = RequestCookies::of(&all_foreign, &config);
    assert_eq!(cookies.names().count(), 0);
    assert!(cookies.is_empty() && !cookies.has("foreign-7"));

    let ours = [K, "sb-abc-auth-token.0", "mine", CSRF_COOKIE, "sb-abc-auth-token-user"];
    let among = lines.map(|line| {
        let ours = ours.map(|name| format!("; {name}=1")).concat();
        [line.as_slice(), ours.as_bytes(), b"; ", &line].concat()
    });
    let among_foreign = headers(&among);
    let cookies = RequestCookies::of(&among_foreign, &config);
    assert_eq!(cookies.names().collect::<Vec<_>>(), [ours, ours].concat());
}

#[test]
fn a_name_after_other_white_space_is_another_name() {
    let config = config("__Host-session", 3072);
    let planted = "\u{a0}__Host-session=planted; \u{3000}__Host-session.0=planted";
    let all = headers(&[planted.into(), format!("{planted}; \t__Host-session \t= own\t").into()]);
    let cookies = RequestCookies::of(&all, &config);
    assert_eq!(cookies.values("__Host-session").collect::<Vec<_>>(), ["own"]);
    assert_eq!(cookies.names().count(), 1);
    let broken = headers(&[[b"\xff=; ", planted.as_bytes()].concat()]);
    assert_eq!(broken.len(), 1);
    assert!(RequestCookies::of(&broken, &config).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn reading_never_panics_and_a_deletion_never_touches_a_foreign_name(
        lines in prop::collection::vec(line(), 0..4),
        budget in 256_usize..4096,
        https: bool,
        cross_site: bool,
    ) {
        let (headers, config) = (headers(&lines), config(K, budget));
        let cookies = RequestCookies::of(&headers, &config);
        let _ = cookies.sessions(&config);
        let sent: Vec<&str> = cookies.names().collect();
        let plan = plan(&config, config.budget, &cookies, RequestSite { is_https: https, is_cross_site: cross_site });
        let mut size = 0;
        for set_cookie in &plan.set_cookies {
            let line = set_cookie.to_str().unwrap();
            let (name, attributes) = line.split_once('=').unwrap();
            let first_chunk = name.strip_prefix(K) == Some(".0");
            let always = name == K || name == CSRF_COOKIE || first_chunk;
            prop_assert!(always || sent.contains(&name), "{line} was not sent");
            prop_assert!(always || name == "mine" || role(K, name).is_some(), "{line} is foreign");
            prop_assert!(attributes.starts_with("; ") && attributes.contains("Max-Age=0"));
            size += line.len() + 14;
        }
        prop_assert!(size <= budget.max(1024), "{size} over {budget}");
        prop_assert!(!plan.set_cookies.is_empty());
    }

    #[test]
    fn a_session_cookie_is_read_however_it_is_split_into_chunks(
        access in "[A-Za-z0-9_.-]{1,3000}",
        refresh in "[a-z0-9]{1,12}",
        size in 50_usize..3180,
        encoded: bool,
    ) {
        let json = serde_json::json!({ "access_token": access, "refresh_token": refresh }).to_string();
        let text = if encoded {
            format!("base64-{}", base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(&json))
        } else {
            json.replace('"', "%22").replace(',', "%2C")
        };
        let mut pairs: Vec<String> = text.as_bytes().chunks(size).enumerate()
            .map(|(i, chunk)| format!("{K}.{i}={}", std::str::from_utf8(chunk).unwrap()))
            .collect();
        pairs.reverse();
        let headers = headers(&[pairs.join("; ").into_bytes()]);
        let config = config(K, 3072);
        let jar = RequestCookies::of(&headers, &config).sessions(&config);
        let [stored] = &jar.sessions[..] else {
            return Err(TestCaseError::fail("not read"));
        };
        prop_assert_eq!(stored.access_token.expose_secret(), access);
        let refresh_tokens: Vec<_> =
            stored.refresh_tokens.iter().map(ExposeSecret::expose_secret).collect();
        prop_assert_eq!(refresh_tokens, [&refresh]);
    }

    #[test]
    fn only_names_of_the_storage_key_belong_to_the_session(suffix in "[A-Za-z0-9._-]{0,80}") {
        prop_assert_eq!(role(K, &format!("x{K}{suffix}")), None);
        prop_assert_eq!(role(K, &suffix), None);
        let name = format!("{K}{suffix}");
        let session = suffix.is_empty()
            || suffix.strip_prefix('.').is_some_and(|n| n.parse::<u128>().is_ok_and(|i| i.to_string() == n));
        prop_assert_eq!(role(K, &name) == Some(Role::Session), session);
    }
}
