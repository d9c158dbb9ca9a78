//! Section 6 of the contract: the attributes `SameSite` and `Partitioned` of the cookies that the gateway sets and
//! deletes.

use super::{SESSION, log_out_with};
use crate::harness::{CookieFormat, TestApp, session_cookies};

/// Whether the `Set-Cookie` line has the attributes that a browser requires in a frame of another site.
fn is_none(line: &str) -> bool {
    line.contains("SameSite=None") && line.contains("Secure")
}

/// Partitioned lines must always have `SameSite=None`: browsers use partitioned cookies in frames of other sites,
/// where they ignore `SameSite=Lax` cookies.
#[tokio::test]
async fn same_site_is_lax_by_default_and_none_for_partitioned_lines_or_if_configured() {
    for (flags, plain_is_none, partitioned) in [
        (&[][..], false, false),
        (&[("cookie-samesite", "lax")], false, false),
        (&[("cookie-partitioned", "true")], false, true),
        (&[("cookie-samesite", "none")], true, false),
        (&[("cookie-samesite", "none"), ("cookie-partitioned", "true")], true, true),
    ] {
        let app = TestApp::with_flags(flags).await;
        let tokens = app.sign_up();
        // Do not use `Browser`, because a browser stores no `Secure` cookie at this http address.
        let (access, refresh) = (&tokens.access_token, &tokens.refresh_token);
        let mut jar = session_cookies("sb-127-auth-token", access, refresh, CookieFormat::Base64);
        let csrf = app.get("/api/auth/csrf").cookies(&jar).send().await;
        assert_eq!(csrf.status, 200, "{flags:?}");
        assert_eq!(csrf.set_cookies().len(), if partitioned { 2 } else { 1 }, "{flags:?}");
        let token = csrf.json()["data"]["csrf_token"].as_str().unwrap().to_owned();
        jar.push(("sb-csrf-token".to_owned(), token.clone()));
        let logout = app.post("/logout").cookies(&jar).header("X-CSRF-Token", token).send().await;
        assert_eq!(logout.header("x-logout-outcome"), Some("revoked"), "{flags:?}");
        assert!(!app.is_alive(&tokens));
        assert!(!logout.set_cookies().is_empty(), "{flags:?}");
        for line in csrf.set_cookies().into_iter().chain(logout.set_cookies()) {
            if line.contains("Partitioned") {
                assert!(partitioned && is_none(line), "{flags:?} {line}");
            } else {
                assert_eq!(is_none(line), plain_is_none, "{flags:?} {line}");
                assert!(plain_is_none || line.contains("SameSite=Lax"), "{flags:?} {line}");
            }
        }
        for reply in [&csrf, &logout] {
            let lines = reply.set_cookies();
            assert_eq!(lines.iter().any(|line| line.contains("Partitioned")), partitioned);
        }
    }
}

#[tokio::test]
async fn partitioned_cookies_are_deleted_by_a_second_set_cookie() {
    let flags = [("cookie-partitioned", "true"), ("extra-cookies", "mine")];
    let app = TestApp::with_flags(&flags).await;
    let reply = log_out_with(&app, &["mine"], &[]).await;
    for name in [SESSION, "sb-csrf-token", "mine"] {
        let lines = reply.set_cookies();
        let lines: Vec<_> = lines.iter().filter(|l| l.starts_with(&format!("{name}=;"))).collect();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(!lines[0].contains("Partitioned") && !lines[0].contains("Secure"));
        assert!(lines[1].contains("Partitioned") && lines[1].contains("Secure"));
    }
    let csrf = app.get("/api/auth/csrf").bearer(&app.sign_up().access_token).send().await;
    assert_eq!(csrf.set_cookies().len(), 2, "the CSRF cookie is set with and without Partitioned");
}
