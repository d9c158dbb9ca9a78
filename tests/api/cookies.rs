//! Section 6 of the contract: which cookies a logout deletes, at which domains and paths, and in which order.

mod listed_names;
mod same_site;

use std::collections::BTreeSet;

use crate::harness::{Browser, CookieFormat, CookieJar, Page, Reply, Setup, TestApp};

/// The name of the cookie in which @supabase/ssr stores the session of this test's project.
const SESSION: &str = "sb-127-auth-token";

/// Logs out a new session by Bearer token, with cookies that have the names `cookies`. The cookies' values do
/// not matter, because the Bearer token takes precedence. Returns the response, which deletes cookies.
async fn log_out_with(app: &TestApp, cookies: &[&str], headers: &[(&str, &str)]) -> Reply {
    let tokens = app.sign_up();
    let pairs: Vec<(&str, &str)> = cookies.iter().map(|name| (*name, "x")).collect();
    let request = app.post("/logout").bearer(&tokens.access_token).cookies(&pairs);
    let reply = request.headers(headers).send().await;
    assert_eq!(reply.status, 200);
    assert!(!app.is_alive(&tokens));
    reply
}

#[tokio::test]
async fn cookies_of_supabase_js_are_deleted_and_foreign_cookies_stay() {
    let app =
        TestApp::with_flags(&[("set-cookie-budget", "100000"), ("extra-cookies", "mine,also")])
            .await;
    let id = "A-Za-z0-9_-";
    let deletable = [
        ".0",
        ".1",
        ".10",
        ".123456789",
        "-user",
        "-user.0",
        "-code-verifier",
        "-code-verifier.12",
        "-flows-code-verifier",
        "-flows-code-verifier.0",
    ];
    let mut deletable: Vec<String> =
        deletable.iter().map(|suffix| format!("{SESSION}{suffix}")).collect();
    for id in ["12345678".to_owned(), id.to_owned(), "a".repeat(64)] {
        deletable.push(format!("{SESSION}-flow-{id}-code-verifier"));
        deletable.push(format!("{SESSION}-flow-{id}-code-verifier.3"));
    }
    deletable.push("mine".to_owned());
    let others = [
        "-other",
        "x",
        ".01",
        ".00",
        ".",
        ".x",
        ".-1",
        ".1x",
        ".1.1",
        "-user.01",
        "-userx",
        "-User",
        "-flow--code-verifier",
        "-flow-1234567-code-verifier",
        "-flow-12345678-code-verifier.01",
        "-flow-1234567!-code-verifier",
        "-flow-12345678",
        "-flows",
        ".0-user",
    ];
    let mut others: Vec<String> =
        others.iter().map(|suffix| format!("{SESSION}{suffix}")).collect();
    others.push(format!("{SESSION}-flow-{}-code-verifier", "a".repeat(65)));
    others.extend(
        ["sb-12-auth-token", "xsb-127-auth-token", "SB-127-AUTH-TOKEN", "minex", "sb-csrf"]
            .map(str::to_owned),
    );

    let sent: Vec<&str> = deletable.iter().chain(&others).map(String::as_str).collect();
    let reply = log_out_with(&app, &sent, &[]).await;
    let deleted: BTreeSet<&str> = reply.deleted_cookies().into_iter().collect();
    let mut expected: BTreeSet<&str> = deletable.iter().map(String::as_str).collect();
    expected.extend([SESSION, "sb-csrf-token"]);
    assert_eq!(deleted, expected, "`also` was not sent");
    assert_eq!(reply.header("x-logout-cookies-left"), None);
}

#[tokio::test]
async fn the_session_cookie_and_the_csrf_cookie_are_always_deleted() {
    let app = TestApp::new().await;
    let reply = log_out_with(&app, &[], &[]).await;
    let plain = "Max-Age=0";
    assert_eq!(reply.deleted_cookies(), [SESSION, "sb-csrf-token"]);
    for line in reply.set_cookies() {
        let (_, attributes) = line.split_once("=; ").unwrap();
        let attributes: BTreeSet<&str> = attributes.split("; ").collect();
        assert_eq!(attributes, BTreeSet::from([plain, "Path=/", "SameSite=Lax"]), "{line}");
    }
}

#[tokio::test]
async fn each_cookie_is_deleted_host_only_first_and_then_at_every_domain_and_path() {
    let flags = [("cookie-domains", "example.com,.app.example.com"), ("cookie-paths", "/,/app")];
    let app = Setup::new().flags(&flags).flag("set-cookie-budget", "100000").start().await;
    let reply = log_out_with(&app, &["sb-127-auth-token-user"], &[]).await;
    let scopes_of = |name: &str| -> Vec<(String, String)> {
        let lines = reply.set_cookies();
        let of_name = lines.iter().filter(|line| line.starts_with(&format!("{name}=;")));
        let attribute = |line: &str, name: &str| {
            let found = line.split("; ").find_map(|a| a.strip_prefix(&format!("{name}=")));
            found.unwrap_or_default().to_owned()
        };
        of_name.map(|line| (attribute(line, "Domain"), attribute(line, "Path"))).collect()
    };
    let all = [
        ("", "/"),
        ("", "/app"),
        ("example.com", "/"),
        ("example.com", "/app"),
        ("app.example.com", "/"),
        ("app.example.com", "/app"),
    ]
    .map(|(domain, path)| (domain.to_owned(), path.to_owned()));
    for name in [SESSION, "sb-csrf-token", "sb-127-auth-token-user"] {
        assert_eq!(scopes_of(name), all, "{name}");
    }
    let at_other_path: Vec<_> = all.iter().filter(|(_, path)| path == "/app").cloned().collect();
    assert_eq!(scopes_of(&format!("{SESSION}.0")), at_other_path, "an unsent chunk may be there");
}

#[tokio::test]
async fn deletions_are_secure_only_where_a_browser_needs_it() {
    let https: &[(&str, &str)] = &[("X-Forwarded-Proto", "https")];
    let cross_site: &[(&str, &str)] =
        &[("Sec-Fetch-Site", "cross-site"), ("Origin", "https://app.example.com")];
    let proxy = [("trusted-proxies", "127.0.0.1"), ("allowed-origins", "https://app.example.com")];
    for (setting, headers, secure, same_site) in [
        ("auto", &[][..], false, "SameSite=Lax"),
        ("auto", https, true, "SameSite=Lax"),
        ("true", &[], true, "SameSite=Lax"),
        ("false", https, false, "SameSite=Lax"),
        ("auto", cross_site, true, "SameSite=None"),
        ("false", cross_site, true, "SameSite=None"),
    ] {
        let app = Setup::new().flags(&proxy).flag("cookie-secure", setting).start().await;
        let tokens = app.sign_up();
        let csrf = app.get("/api/auth/csrf").bearer(&tokens.access_token).headers(headers);
        let csrf = csrf.send().await;
        let reply = log_out_with(&app, &[], headers).await;
        for line in reply.set_cookies().into_iter().chain(csrf.set_cookies()) {
            assert_eq!(line.contains("; Secure"), secure, "{setting} {headers:?}: {line}");
            assert!(line.contains(same_site), "{setting} {headers:?}: {line}");
        }
        assert_eq!(csrf.set_cookies().len(), 1);
    }
}

#[tokio::test]
async fn cookies_with_prefixed_names_are_deleted_with_the_attributes_that_browsers_require() {
    for (name, scopes) in
        [("__Host-session", 1), ("__host-session", 1), ("__Secure-session", 4), ("__SECURE-s", 4)]
    {
        let app = TestApp::with_flags(&[
            ("cookie-name", name),
            ("cookie-domains", "example.com"),
            ("cookie-paths", "/,/app"),
        ])
        .await;
        let reply = log_out_with(&app, &[], &[]).await;
        let lines = reply.set_cookies();
        let of_name: Vec<_> =
            lines.iter().filter(|l| l.starts_with(&format!("{name}=;"))).collect();
        assert_eq!(of_name.len(), scopes, "{of_name:?}");
        assert!(of_name.iter().all(|line| line.contains("; Secure")), "{of_name:?}");
        let mut jar = CookieJar::default();
        let page = Page { host: "example.com", https: true, ..Page::LOCAL };
        jar.store_set_cookie(page, &format!("{name}=1; Path=/; Secure"));
        assert!(!jar.is_empty());
        for line in &lines {
            jar.store_set_cookie(page, line);
        }
        assert!(jar.is_empty(), "{lines:?}");
    }
}

#[tokio::test]
async fn the_budget_is_kept_for_any_number_of_domains() {
    let domains = ["one.example", "two.example", "three.example", "four.example"];
    let setup = Setup::new().flag("cookie-domains", &domains.join(","));
    let app = setup.flag("set-cookie-budget", "256").start().await;
    let reply = log_out_with(&app, &["sb-127-auth-token.0"], &[]).await;
    let size: usize = reply.set_cookies().iter().map(|line| line.len() + 14).sum();
    assert!(size <= 256);
    let first = &reply.set_cookies()[0];
    assert!(
        first.starts_with(&format!("{SESSION}.0=; ")),
        "a sent cookie is deleted first: {first}"
    );
    assert_eq!(reply.header("x-logout-cookies-left"), Some("3"), "none of them at every domain");
}

/// The cookies of the session take precedence in each response. If they would fill every response, the
/// cookies that the browser still sends must take precedence over them.
#[tokio::test]
async fn with_very_many_domains_each_logout_deletes_a_cookie_that_the_browser_sent() {
    let domains: Vec<_> = (0..12).map(|n| format!("domain-{n}.example")).collect();
    let setup = Setup::new().flag("cookie-domains", &domains.join(","));
    let app = setup.flag("set-cookie-budget", "256").start().await;
    let chunk = format!("{SESSION}.0");
    let mut jar = CookieJar::default();
    for name in [format!("{SESSION}-user"), format!("{SESSION}-code-verifier"), chunk.clone()] {
        jar.insert(Page::LOCAL, &name, "x");
    }
    for call in 1.. {
        let before = jar.names().len();
        let sent_cookies = jar.cookies_for(Page::LOCAL);
        let names: Vec<&str> = sent_cookies.iter().map(|(name, _)| name.as_str()).collect();
        let reply = log_out_with(&app, &names, &[]).await;
        for line in reply.set_cookies() {
            jar.store_set_cookie(Page::LOCAL, line);
        }
        if call == 1 {
            assert!(!jar.names().contains(&chunk.as_str()), "{reply:?}");
        }
        assert_eq!(jar.names().len(), before - 1, "call {call}: {reply:?}");
        if !names.contains(&chunk.as_str()) {
            // Only cookies that do not belong to the session are left. One of them must be deleted
            // completely, at every domain.
            let deletions_of_first =
                reply.deleted_cookies().iter().filter(|name| **name == names[0]).count();
            assert_eq!(deletions_of_first, 1 + domains.len(), "{reply:?}");
        }
        if jar.is_empty() {
            break;
        }
    }
}

/// A few logouts must delete all cookies of a browser, each response within the budget. Only the first logout
/// needs a session.
#[tokio::test]
async fn cookies_that_do_not_fit_the_budget_are_deleted_by_the_next_logouts() {
    for (budget, domains, most) in [(3072, "127.0.0.1", 5), (512, "127.0.0.1", 60)] {
        let setup = Setup::new().flag("set-cookie-budget", &budget.to_string());
        let app = setup.flag("cookie-domains", domains).start().await;
        let tokens = app.sign_up();
        let mut browser = Browser::signed_in(&app, &tokens, CookieFormat::Chunked).await;
        for n in 0..40 {
            let name = format!("{SESSION}-flow-{n:08}-code-verifier");
            browser.jar.insert(Page::LOCAL, &name, "the-value-of-a-cookie");
        }
        let mut reply = browser.logout("/logout").await;
        assert_eq!(reply.header("x-logout-outcome"), Some("revoked"));
        let mut calls = 1;
        let mut left = usize::MAX;
        loop {
            let size: usize = reply.set_cookies().iter().map(|l| l.len() + 14).sum();
            assert!(size <= budget, "{size} over {budget}");
            assert!(!reply.set_cookies().is_empty(), "each response deletes at least one cookie");
            assert!(!reply.set_cookies().concat().contains("the-value-of-a-cookie"));
            if calls == 1 && budget == 3072 {
                assert_eq!(
                    &reply.deleted_cookies()[..2],
                    [SESSION, SESSION],
                    "the session first, host-only and at the domain"
                );
                assert!(!browser.jar.names().contains(&"sb-127-auth-token.0"));
            }
            let Some(now_left) = reply.header("x-logout-cookies-left") else { break };
            let now_left: usize = now_left.parse().unwrap();
            assert!(now_left <= left && now_left > 0);
            (left, calls) = (now_left, calls + 1);
            assert!(calls <= most, "{budget} {domains}: {left} left after {calls} calls");
            reply = browser.logout("/logout").await;
            if !browser
                .jar
                .names()
                .iter()
                .any(|n| *n == SESSION || n.starts_with("sb-127-auth-token."))
            {
                assert_eq!(reply.status, 401);
            }
        }
        assert!(browser.jar.is_empty(), "{:?}", browser.jar.names());
    }
}
