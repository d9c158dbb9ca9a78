//! Section 6 of the contract: how the gateway reads a session from cookies.

use crate::harness::{CookieFormat, TestApp};

/// The name of the cookie in which @supabase/ssr stores the session of this test's project.
const SESSION: &str = "sb-127-auth-token";

#[tokio::test]
async fn chunks_are_joined_up_to_the_first_gap_and_no_other_cookie_hides_the_session() {
    let app = TestApp::new().await;
    let tokens = app.sign_up();
    let (access, refresh) = (&tokens.access_token, &tokens.refresh_token);
    let chunks = crate::harness::session_cookies(SESSION, access, refresh, CookieFormat::Chunked);
    assert!(chunks.len() > 3);
    let verify_status = async |cookies: &[(String, String)]| {
        app.get("/api/auth/verify").cookies(cookies).send().await.status
    };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut reversed = chunks.clone();
    reversed.reverse();
    assert_eq!(verify_status(&reversed).await, 200, "the order of the request does not matter");
    let next_index = chunks.len();
    for stray in [".9", ".01", "-user", &format!(".{next_index}")] {
        let stray = format!("{SESSION}{stray}");
        let mut more = chunks.clone();
        more.insert(0, pair(&stray, "stray"));
        assert_eq!(verify_status(&more).await, 200, "{stray}");
    }
    let mut gap = chunks.clone();
    gap.remove(1);
    assert_eq!(verify_status(&gap).await, 401);
    let mut emptied = chunks.clone();
    emptied[1].1.clear();
    assert_eq!(verify_status(&emptied).await, 401, "an empty chunk is a gap");
    let unchunked = crate::harness::session_cookies(SESSION, access, refresh, CookieFormat::Base64)
        [0]
    .1
    .clone();
    let single_chunk = [("0", unchunked.as_str()), ("1", ""), ("2", "of-a-longer-one")];
    assert_eq!(
        verify_status(&single_chunk.map(|(n, value)| pair(&format!("{SESSION}.{n}"), value))).await,
        200
    );
    let mut with_unchunked = chunks.clone();
    with_unchunked.push(pair(SESSION, "garbage"));
    assert_eq!(
        verify_status(&with_unchunked).await,
        200,
        "the session is read beside an unreadable cookie"
    );
    with_unchunked.pop();
    with_unchunked.push(pair(SESSION, ""));
    assert_eq!(verify_status(&with_unchunked).await, 200, "an empty unchunked cookie is ignored");
    let mut repeated_chunk = chunks;
    repeated_chunk.push(pair(&format!("{SESSION}.1"), "of-a-shorter-path"));
    assert_eq!(
        verify_status(&repeated_chunk).await,
        200,
        "the session is read beside a planted chunk"
    );
}
