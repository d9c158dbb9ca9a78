//! Section 6 of the contract: how a session is read from cookies.

use crate::harness::{Form, Request, Stage, assert_error};

const K: &str = "sb-127-auth-token";

#[tokio::test]
async fn chunks_are_joined_up_to_the_first_gap_and_the_whole_cookie_goes_before_them() {
    let stage = Stage::new().await;
    let tokens = stage.sign_up();
    let (access, refresh) = (&tokens.access_token, &tokens.refresh_token);
    let chunks = crate::harness::session_cookies(K, access, refresh, Form::Chunked);
    assert!(chunks.len() > 3);
    let ask = async |cookies: &[(String, String)]| {
        stage.get("/api/auth/verify").cookies(cookies).send().await.status
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

#[tokio::test]
async fn a_logout_with_garbage_deletes_it_and_never_fails_louder_than_401() {
    let stage = Stage::new().await;
    for value in [
        "",
        "%",
        "%ff",
        "base64-",
        "base64-!!!",
        "base64-bnVsbA",
        "null",
        "[]",
        "[null]",
        "{}",
        "%22%22",
        "[1%2C2]",
        "%7B%22access_token%22%3A1%7D",
        "base64-W10",
        "\u{e4}\u{e4}",
    ] {
        let reply = stage.post("/logout").cookies(&[(K, value)]).send().await;
        assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
        assert_eq!(reply.deleted(), [K, "sb-csrf-token"], "{value:?}");
    }
    let several = Request::new(stage.address, "POST", "/logout")
        .header("Cookie", format!("{K}=x"))
        .header("Cookie", "sb-127-auth-token.0=x; ;;=; a; =b; c=\"d");
    let several = several.send().await;
    assert_eq!(several.deleted(), [K, "sb-127-auth-token.0", "sb-csrf-token"]);
}
