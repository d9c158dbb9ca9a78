//! The size of the response to a form. A form is sent only once, so cookies that exceed the response's budget
//! are not deleted.

use crate::{
    forms::{assert_redirect, form_request, signed_in},
    harness::{Browser, TestApp},
};

/// The default size, in bytes, of nginx's buffer for a response head: one page of memory.
const NGINX_BUFFER: usize = 4096;

/// Adds the cookies that @supabase/ssr leaves behind for `count` sign-ins that were started and never
/// finished.
fn add_sign_in_cookies(browser: &mut Browser, count: usize) {
    for n in 0..count {
        let name = format!("sb-127-auth-token-flow-{n:032x}-code-verifier");
        browser.jar.insert(browser.page, &name, "x");
    }
}

#[tokio::test]
async fn the_response_to_a_form_has_the_number_of_remaining_cookies() {
    let app = TestApp::with_flags(&[("set-cookie-budget", "256")]).await;
    let (_, mut browser) = signed_in(&app).await;
    add_sign_in_cookies(&mut browser, 9);
    let reply = form_request(&browser, "/logout", &[]).send().await;
    assert_redirect(&reply, "/", Some("revoked"));
    let left: usize = reply.header("x-logout-cookies-left").unwrap().parse().unwrap();
    browser.store_cookies(&reply);
    assert_eq!(browser.jar.cookies_for(browser.page).len(), left);
}

#[tokio::test]
async fn the_response_to_a_form_fits_into_a_proxys_buffer() {
    let flags = [("trusted-proxies", "127.0.0.1"), ("clear-site-data", "cache,storage")];
    let app = TestApp::with_flags(&flags).await;
    let longest_target = format!("/?{}", "'".repeat(170));
    for (target, location) in
        [("/", "/"), (&*longest_target, &*longest_target.replace('\'', "%27"))]
    {
        let (_, mut browser) = signed_in(&app).await;
        add_sign_in_cookies(&mut browser, 60);
        let request = form_request(&browser, "/logout", &[("redirect_to", target)])
            .header("X-Request-Id", "r".repeat(128))
            .header("X-Forwarded-Proto", "https");
        let reply = request.send().await;
        assert_eq!((reply.status, reply.header("location")), (303, Some(location)), "{reply:?}");
        let lines = reply.headers.iter().map(|(name, value)| name.len() + value.len() + 4);
        let head = "HTTP/1.1 303 See Other\r\n\r\n".len() + lines.sum::<usize>();
        assert!((3000..NGINX_BUFFER).contains(&head), "{head} octets");
    }
}

#[tokio::test]
async fn the_longest_redirect_target_leaves_room_to_delete_the_session_cookie() {
    for budget in ["256", "600"] {
        let app = TestApp::with_flags(&[("set-cookie-budget", budget)]).await;
        let (_, mut browser) = signed_in(&app).await;
        let longest = format!("/{}", "a".repeat(511));
        let reply = form_request(&browser, "/logout", &[("redirect_to", &longest)]).send().await;
        assert_redirect(&reply, &longest, Some("revoked"));
        browser.store_cookies(&reply);
        assert!(browser.jar.is_empty(), "{budget}");
    }
}
