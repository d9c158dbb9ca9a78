//! Section 6 of the contract: how a session is read from cookies.

use crate::harness::{CookieFormat, TestApp};

const K: &str = "sb-127-auth-token";

#[tokio::test]
async fn chunks_are_joined_up_to_the_first_gap_and_the_whole_cookie_goes_before_them() {
    let app = TestApp::new().await;
    let tokens = app.sign_up();
    let (access, refresh) = (&tokens.access_token, &tokens.refresh_token);
    let chunks = crate::harness::session_cookies(K, access, refresh, CookieFormat::Chunked);
    assert!(chunks.len() > 3);
    let ask = async |cookies: &[(String, String)]| {
        app.get("/api/auth/verify").cookies(cookies).send().await.status
    };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut shuffled = chunks.clone();
    shuffled.reverse();
    assert_eq!(ask(&shuffled).await, 200, "the order of the request does not matter");
    for stray in [format!("{K}.9"), format!("{K}.01"), format!("{K}-user")] {
        let mut more = chunks.clone();
        more.insert(0, pair(&stray, "stray"));
        assert_eq!(ask(&more).await, 200, "{stray}");
    }
    let mut gap = chunks.clone();
    gap.remove(1);
    assert_eq!(ask(&gap).await, 401);
    let mut emptied = chunks.clone();
    emptied[1].1.clear();
    assert_eq!(ask(&emptied).await, 401, "an empty one is a gap");
    let whole =
        crate::harness::session_cookies(K, access, refresh, CookieFormat::Base64)[0].1.clone();
    let one = [("0", whole.as_str()), ("1", ""), ("2", "of-a-longer-one")];
    assert_eq!(ask(&one.map(|(n, value)| pair(&format!("{K}.{n}"), value))).await, 200);
    let mut with_whole = chunks.clone();
    with_whole.push(pair(K, "garbage"));
    assert_eq!(ask(&with_whole).await, 401, "the whole cookie decides");
    with_whole.pop();
    with_whole.push(pair(K, ""));
    assert_eq!(ask(&with_whole).await, 200, "an empty one does not");
    let mut twice = chunks;
    twice.push(pair(&format!("{K}.1"), "of-a-shorter-path"));
    assert_eq!(ask(&twice).await, 200, "the first of two is that of the longer path");
}
