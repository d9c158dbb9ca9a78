//! Section 6 of the contract: which cookies go, where, and in which order.

use std::collections::BTreeSet;

use crate::harness::{Browser, CookieFormat, CookieJar, Page, Reply, Setup, TestApp};

const K: &str = "sb-127-auth-token";

/// The lines that a logout of these cookies answers, with a Bearer so that it is no matter of theirs.
async fn deletions(app: &TestApp, cookies: &[&str], headers: &[(&str, &str)]) -> Reply {
    let tokens = app.sign_up();
    let pairs: Vec<(&str, &str)> = cookies.iter().map(|name| (*name, "x")).collect();
    let request = app.post("/logout").bearer(&tokens.access_token).cookies(&pairs);
    let reply = request.headers(headers).send().await;
    assert_eq!(reply.status, 200);
    assert!(!app.is_alive(&tokens));
    reply
}

#[tokio::test]
async fn names_of_the_library_go_and_names_of_others_stay() {
    let app =
        TestApp::with_flags(&[("set-cookie-budget", "100000"), ("extra-cookies", "mine,also")])
            .await;
    let id = "A-Za-z0-9_-";
    let ours = [
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
    let mut ours: Vec<String> = ours.iter().map(|suffix| format!("{K}{suffix}")).collect();
    for id in ["12345678".to_owned(), id.to_owned(), "a".repeat(64)] {
        ours.push(format!("{K}-flow-{id}-code-verifier"));
        ours.push(format!("{K}-flow-{id}-code-verifier.3"));
    }
    ours.push("mine".to_owned());
    let foreign = [
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
    let mut foreign: Vec<String> = foreign.iter().map(|suffix| format!("{K}{suffix}")).collect();
    foreign.push(format!("{K}-flow-{}-code-verifier", "a".repeat(65)));
    foreign.extend(
        ["sb-12-auth-token", "xsb-127-auth-token", "SB-127-AUTH-TOKEN", "minex", "sb-csrf"]
            .map(str::to_owned),
    );

    let sent: Vec<&str> = ours.iter().chain(&foreign).map(String::as_str).collect();
    let reply = deletions(&app, &sent, &[]).await;
    let deleted: BTreeSet<&str> = reply.deleted_cookies().into_iter().collect();
    let mut expected: BTreeSet<&str> = ours.iter().map(String::as_str).collect();
    expected.extend([K, "sb-csrf-token"]);
    assert_eq!(deleted, expected, "`also` was not sent");
    assert_eq!(reply.header("x-logout-cookies-left"), None);
}

#[tokio::test]
async fn the_session_cookie_and_the_csrf_cookie_go_in_any_case() {
    let app = TestApp::new().await;
    let reply = deletions(&app, &[], &[]).await;
    let plain = "Max-Age=0";
    assert_eq!(reply.deleted_cookies(), [K, "sb-csrf-token"]);
    for line in reply.set_cookies() {
        let (_, attributes) = line.split_once("=; ").unwrap();
        let attributes: BTreeSet<&str> = attributes.split("; ").collect();
        assert_eq!(attributes, BTreeSet::from([plain, "Path=/", "SameSite=Lax"]), "{line}");
    }
}

#[tokio::test]
async fn each_goes_host_only_first_and_then_at_every_domain_and_path() {
    let flags = [("cookie-domains", "example.com,.app.example.com"), ("cookie-paths", "/,/app")];
    let app = Setup::new().flags(&flags).flag("set-cookie-budget", "100000").start().await;
    let reply = deletions(&app, &["sb-127-auth-token-user"], &[]).await;
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
    for name in [K, "sb-csrf-token", "sb-127-auth-token-user"] {
        assert_eq!(scopes_of(name), all, "{name}");
    }
    let elsewhere: Vec<_> = all.iter().filter(|(_, path)| path == "/app").cloned().collect();
    assert_eq!(scopes_of(&format!("{K}.0")), elsewhere, "seen or not, it may be at another path");
}

#[tokio::test]
async fn secure_stands_where_a_browser_needs_it_and_nowhere_else() {
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
        let reply = deletions(&app, &[], headers).await;
        for line in reply.set_cookies().into_iter().chain(csrf.set_cookies()) {
            assert_eq!(line.contains("; Secure"), secure, "{setting} {headers:?}: {line}");
            assert!(line.contains(same_site), "{setting} {headers:?}: {line}");
        }
        assert_eq!(csrf.set_cookies().len(), 1);
    }
}

#[tokio::test]
async fn prefixed_names_go_as_browsers_ask() {
    for (name, scopes) in
        [("__Host-session", 1), ("__host-session", 1), ("__Secure-session", 4), ("__SECURE-s", 4)]
    {
        let app = TestApp::with_flags(&[
            ("cookie-name", name),
            ("cookie-domains", "example.com"),
            ("cookie-paths", "/,/app"),
        ])
        .await;
        let reply = deletions(&app, &[], &[]).await;
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
async fn partitioned_cookies_go_by_a_second_deletion() {
    let flags = [("cookie-partitioned", "true"), ("extra-cookies", "mine")];
    let app = TestApp::with_flags(&flags).await;
    let reply = deletions(&app, &["mine"], &[]).await;
    for name in [K, "sb-csrf-token", "mine"] {
        let lines = reply.set_cookies();
        let lines: Vec<_> = lines.iter().filter(|l| l.starts_with(&format!("{name}=;"))).collect();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(!lines[0].contains("Partitioned") && !lines[0].contains("Secure"));
        assert!(lines[1].contains("Partitioned") && lines[1].contains("Secure"));
    }
    let csrf = app.get("/api/auth/csrf").bearer(&app.sign_up().access_token).send().await;
    assert_eq!(csrf.set_cookies().len(), 2, "set by the same rule");
}

#[tokio::test]
async fn the_budget_holds_however_many_scopes_there_are() {
    let domains = ["one.example", "two.example", "three.example", "four.example"];
    let setup = Setup::new().flag("cookie-domains", &domains.join(","));
    let app = setup.flag("set-cookie-budget", "256").start().await;
    let reply = deletions(&app, &["sb-127-auth-token.0"], &[]).await;
    let size: usize = reply.set_cookies().iter().map(|line| line.len() + 14).sum();
    assert!(size <= 256);
    let first = &reply.set_cookies()[0];
    assert!(first.starts_with(&format!("{K}.0=; ")), "what the browser shows goes first: {first}");
    assert_eq!(reply.header("x-logout-cookies-left"), Some("3"), "none of them at every scope");
}

/// Where the names that go first fill every response, what the browser still shows goes before them.
#[tokio::test]
async fn with_very_many_scopes_each_call_deletes_something_that_the_browser_shows() {
    let domains: Vec<_> = (0..12).map(|n| format!("domain-{n}.example")).collect();
    let setup = Setup::new().flag("cookie-domains", &domains.join(","));
    let app = setup.flag("set-cookie-budget", "256").start().await;
    let chunk = format!("{K}.0");
    let mut jar = CookieJar::default();
    for name in [format!("{K}-user"), format!("{K}-code-verifier"), chunk.clone()] {
        jar.insert(Page::LOCAL, &name, "x");
    }
    for call in 1.. {
        let before = jar.names().len();
        let shown = jar.cookies_for(Page::LOCAL);
        let names: Vec<&str> = shown.iter().map(|(name, _)| name.as_str()).collect();
        let reply = deletions(&app, &names, &[]).await;
        for line in reply.set_cookies() {
            jar.store_set_cookie(Page::LOCAL, line);
        }
        if call == 1 {
            assert!(!jar.names().contains(&chunk.as_str()), "{reply:?}");
        }
        assert_eq!(jar.names().len(), before - 1, "call {call}: {reply:?}");
        if !names.contains(&chunk.as_str()) {
            // Only companions are left: one of them goes whole, at every scope.
            let of_the_first =
                reply.deleted_cookies().iter().filter(|name| **name == names[0]).count();
            assert_eq!(of_the_first, 1 + domains.len(), "{reply:?}");
        }
        if jar.is_empty() {
            break;
        }
    }
}

/// What a browser holds goes within a few calls, each within the budget; only the first needs a
/// session.
#[tokio::test]
async fn cookies_that_do_not_fit_the_budget_are_deleted_by_the_next_logouts() {
    for (budget, domains, most) in [(3072, "127.0.0.1", 5), (512, "127.0.0.1", 60)] {
        let setup = Setup::new().flag("set-cookie-budget", &budget.to_string());
        let app = setup.flag("cookie-domains", domains).start().await;
        let tokens = app.sign_up();
        let mut browser = Browser::signed_in(&app, &tokens, CookieFormat::Chunked).await;
        for n in 0..40 {
            let name = format!("{K}-flow-{n:08}-code-verifier");
            browser.jar.insert(Page::LOCAL, &name, "the-value-of-a-cookie");
        }
        let mut reply = browser.logout("/logout").await;
        assert_eq!(reply.header("x-logout-outcome"), Some("revoked"));
        let mut calls = 1;
        let mut left = usize::MAX;
        loop {
            let size: usize = reply.set_cookies().iter().map(|l| l.len() + 14).sum();
            assert!(size <= budget, "{size} over {budget}");
            assert!(!reply.set_cookies().is_empty(), "at least one a call");
            assert!(!reply.set_cookies().concat().contains("the-value-of-a-cookie"));
            if calls == 1 && budget == 3072 {
                assert_eq!(
                    &reply.deleted_cookies()[..2],
                    [K, K],
                    "the session first, at both scopes"
                );
                assert!(!browser.jar.names().contains(&"sb-127-auth-token.0"));
            }
            let Some(now_left) = reply.header("x-logout-cookies-left") else { break };
            let now_left: usize = now_left.parse().unwrap();
            assert!(now_left <= left && now_left > 0);
            (left, calls) = (now_left, calls + 1);
            assert!(calls <= most, "{budget} {domains}: {left} left after {calls} calls");
            reply = browser.logout("/logout").await;
            if !browser.jar.names().iter().any(|n| *n == K || n.starts_with("sb-127-auth-token.")) {
                assert_eq!(reply.status, 401);
            }
        }
        assert!(browser.jar.is_empty(), "{:?}", browser.jar.names());
    }
}
