//! The gateway must read every recorded cookie jar that the real @supabase/ssr filled, end the session in it,
//! and delete all its cookies.

use std::collections::BTreeSet;

use crate::harness::{
    CookieJar, Page, RECORDED_AT, RECORDED_ISSUER, Setup, SsrCookieJar, claims_of, ssr_cookie_jars,
};

/// The default of `GATEWAY_SET_COOKIE_BUDGET`, in bytes.
const BUDGET: usize = 3072;

/// The name, the domain and the path that a `Set-Cookie` line deletes.
fn deletion_scope(line: &str) -> (String, String, String) {
    let attribute = |name: &str| {
        let found = line.split("; ").find_map(|part| part.strip_prefix(&format!("{name}=")));
        found.unwrap_or_default().to_owned()
    };
    (line.split('=').next().unwrap().to_owned(), attribute("Domain"), attribute("Path"))
}

#[tokio::test]
async fn every_recorded_jar_is_read_and_emptied_at_every_domain_and_path_where_supabase_ssr_deletes()
 {
    let jars = ssr_cookie_jars();
    assert_eq!(jars.len(), 12);
    for jar in &jars {
        empty_jar(jar).await;
    }
}

async fn empty_jar(recorded: &SsrCookieJar) {
    let case = &recorded.name;
    let options = &recorded.options["cookieOptions"];
    let mut setup = Setup::new().start_time(RECORDED_AT).flag("jwt-issuer", RECORDED_ISSUER);
    for (option, flag) in
        [("name", "cookie-name"), ("domain", "cookie-domains"), ("path", "cookie-paths")]
    {
        if let Some(value) = options[option].as_str() {
            // Every configuration has the default path `/`, besides the path of the recorded jar.
            let value = if option == "path" { format!("/,{value}") } else { value.to_owned() };
            setup = setup.flag(flag, &value);
        }
    }
    let https = options["secure"].as_bool().unwrap_or(false);
    let app = setup.flag("trusted-proxies", "127.0.0.1").start().await;
    let has_domain = options["domain"].is_string();
    let page = Page {
        host: if has_domain { "app.example.com" } else { "127.0.0.1" },
        path: if has_domain { "/app" } else { "/" },
        https,
        cross_site: false,
    };

    let mut jar = CookieJar::default();
    for pair in recorded.cookie_header.split("; ") {
        let domain = options["domain"].as_str().map(|domain| format!("; Domain={domain}"));
        let path = options["path"].as_str().unwrap_or("/");
        jar.store_set_cookie(page, &format!("{pair}; Path={path}{}", domain.unwrap_or_default()));
    }
    assert_eq!(jar.names().len(), recorded.cookie_header.split("; ").count(), "{case}");
    let proto = ("X-Forwarded-Proto", if https { "https" } else { "http" });

    let csrf = app.get("/api/auth/csrf").headers(&[proto]).cookies(&jar.cookies_for(page));
    let csrf = csrf.send().await;
    assert_eq!(csrf.status, 200, "{case}: {csrf:?}");
    csrf.set_cookies().into_iter().for_each(|line| jar.store_set_cookie(page, line));
    let token = csrf.json()["data"]["csrf_token"].as_str().unwrap().to_owned();

    let mut deletion_scopes = BTreeSet::new();
    for call in 1.. {
        assert!(call <= 4, "{case}: {:?} after {call} calls", jar.names());
        let request = app.post("/api/auth/logout").headers(&[proto, ("X-CSRF-Token", &token)]);
        let reply = request.cookies(&jar.cookies_for(page)).send().await;
        if call == 1 {
            assert_eq!(reply.header("x-logout-outcome"), Some("already-ended"), "{case}");
            let without_csrf = app.post("/logout").cookies(&jar.cookies_for(page));
            assert_eq!(without_csrf.send().await.status, 403, "{case}: CSRF is needed");
        }
        let size: usize = reply.set_cookies().iter().map(|line| line.len() + 14).sum();
        assert!(size <= BUDGET, "{case}: {size}");
        for line in reply.set_cookies() {
            jar.store_set_cookie(page, line);
            deletion_scopes.insert(deletion_scope(line));
        }
        let has_session =
            jar.names().iter().any(|name| name.ends_with("auth-token") || name.ends_with(".0"));
        assert!(!has_session, "{case}: the first logout deletes the session cookie");
        if reply.header("x-logout-cookies-left").is_none() {
            break;
        }
    }
    assert!(jar.is_empty(), "{case}: {:?}", jar.names());
    for line in &recorded.sign_out_set_cookie {
        assert!(
            deletion_scopes.contains(&deletion_scope(line)),
            "{case}: @supabase/ssr also deletes {line}"
        );
    }

    // GoTrue must have received the access token of the jar.
    let access_token = recorded.session["access_token"].as_str().unwrap();
    let calls = app.gotrue_calls("logout");
    assert_eq!(calls.len(), 1, "{case}: the later logouts need no session");
    assert_eq!(calls[0].header("authorization"), Some(&*format!("Bearer {access_token}")));
    assert!(claims_of(access_token)["session_id"].is_string());
}
