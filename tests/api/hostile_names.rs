//! Section 6 of the contract: cookies whose hostile names look like those of @supabase/ssr.
//!
//! The test sends each hostile cookie before and after the cookies of a genuine session. The logout must end
//! the session and delete exactly the cookies of @supabase/ssr, of its older helpers and of the gateway.

mod rows;

use std::collections::BTreeSet;

use gotrue_mock::Tokens;
use logout_gateway::internals::csrf::{Binding, BoundTo, Csrf};

use self::rows::{Fate, Row, rows};
use crate::harness::{
    CookieFormat, CookieJar, Page, Reply, Setup, TestApp, assert_deletes_cookies,
    assert_only_known_headers, session_cookies,
};

const STORAGE_KEY: &str = "sb-127-auth-token";

/// Sends a logout whose `Cookie` header has `pair` both before and after the genuine cookies.
async fn logout_among(app: &TestApp, csrf: &Csrf, tokens: &Tokens, pair: &[u8]) -> Reply {
    let csrf = csrf.mint(&Binding::to([BoundTo::Session(tokens.session_id)])).unwrap();
    let (access, refresh) = (&tokens.access_token, &tokens.refresh_token);
    let session = &session_cookies(STORAGE_KEY, access, refresh, CookieFormat::Base64)[0].1;
    let genuine = format!("; theme=dark; {STORAGE_KEY}={session}; sb-csrf-token={csrf}; ");
    let request = app.post("/logout").header("X-CSRF-Token", &csrf);
    request.header("Cookie", [pair, genuine.as_bytes(), pair].concat()).send().await
}

#[tokio::test]
async fn hostile_cookie_names_stop_no_logout_and_only_known_cookies_are_deleted() {
    let app = TestApp::new().await;
    let csrf = Csrf::new(&Setup::new().flag("supabase-url", app.mock.url()).config()).unwrap();
    let rows = rows();
    let distinct: BTreeSet<&[u8]> = rows.iter().map(|row| row.pair.as_slice()).collect();
    assert_eq!(distinct.len(), rows.len());
    assert!(rows.len() > 200);
    for row in &rows {
        check_row(&app, &csrf, row).await;
    }
}

async fn check_row(app: &TestApp, csrf: &Csrf, Row { pair, fate }: &Row) {
    let case: String = pair.escape_ascii().to_string().chars().take(100).collect();
    let (tokens, calls_before) = (app.sign_up(), app.gotrue_call_count());
    let reply = logout_among(app, csrf, &tokens, pair).await;
    assert_only_known_headers(&reply, &case);
    if *fate == Fate::Refused {
        assert_eq!((reply.status, reply.set_cookies().len()), (400, 0), "{case}");
        assert!(app.is_alive(&tokens) && app.gotrue_call_count() == calls_before, "{case}");
        return;
    }
    assert_eq!((reply.status, reply.header("x-logout-outcome")), (200, Some("revoked")), "{case}");
    assert!(!app.is_alive(&tokens), "{case}");
    let mut expected = BTreeSet::from([STORAGE_KEY, "sb-csrf-token"]);
    if let Fate::Deleted(name) = fate {
        expected.insert(name);
    }
    assert_deletes_cookies(&reply, &expected, &case);
    assert_eq!(reply.header("x-logout-cookies-left"), None, "{case}");
    assert!(!reply.text().contains("planted"), "{case}");
    if let Some(name) = pair.strip_suffix(b"=planted") {
        let name = String::from_utf8_lossy(name);
        check_jar(&reply, name.trim_matches([' ', '\t']), *fate == Fate::Kept, &case);
    }
}

/// Asserts which cookies the response leaves in a browser that had stored a cookie with this name.
fn check_jar(reply: &Reply, name: &str, kept: bool, case: &str) {
    let mut jar = CookieJar::default();
    jar.insert(Page::LOCAL, "theme", "dark");
    jar.insert(Page::LOCAL, name, "planted");
    // The browser does not store a cookie with an invalid name, so such a name cannot be left afterwards.
    let stored = jar.names().contains(&name);
    for line in reply.set_cookies() {
        jar.store_set_cookie(Page::LOCAL, line);
    }
    assert!(jar.names().contains(&"theme"), "{case}");
    assert_eq!(jar.names().contains(&name), stored && kept, "{case}");
}

/// A sibling subdomain can plant names of up to 4,096 bytes, the longest that a browser stores.
#[tokio::test]
async fn long_planted_names_exceed_no_budget_and_other_cookies_are_still_deleted() {
    let setup = Setup::new().flag("cookie-domains", "example.com,app.example.com");
    let app = setup.start().await;
    let planted = [
        format!("{STORAGE_KEY}.{}", "1".repeat(3900)),
        format!("{STORAGE_KEY}-user.{}", "1".repeat(900)),
        format!("{STORAGE_KEY}-flow-{}-code-verifier.{}", "a".repeat(64), "9".repeat(64)),
    ];
    let genuine = [format!("{STORAGE_KEY}.1"), format!("{STORAGE_KEY}-user")];
    for sent in [[&planted[..], &genuine].concat(), planted.to_vec()] {
        let tokens = app.sign_up();
        let request = app.post("/logout").bearer(&tokens.access_token);
        let pairs: Vec<_> = sent.iter().map(|name| (name.as_str(), "x")).collect();
        let reply = request.cookies(&pairs).send().await;
        assert_eq!(reply.status, 200);
        assert!(!app.is_alive(&tokens));
        let size: usize = reply.set_cookies().iter().map(|line| line.len() + 14).sum();
        assert!(size <= 3072, "{size}");
        let deleted: BTreeSet<&str> = reply.deleted_cookies().into_iter().collect();
        assert!(sent.iter().skip(2).all(|name| deleted.contains(name.as_str())), "{deleted:?}");
        assert_eq!(reply.header("x-logout-cookies-left"), None);
    }
}
