//! Section 6 of the contract: the cookies that `GATEWAY_EXTRA_COOKIES` lists.

use std::collections::BTreeSet;

use super::{SESSION, log_out_with};
use crate::harness::TestApp;

/// A project that moved to another URL has another session cookie, and the library's chunks and companions of it.
#[tokio::test]
async fn a_listed_name_that_ends_in_auth_token_is_deleted_with_its_chunks_and_companions() {
    let flags = [("set-cookie-budget", "100000"), ("extra-cookies", "sb-old-auth-token,mine")];
    let app = TestApp::with_flags(&flags).await;
    let deletable = [
        "sb-old-auth-token",
        "sb-old-auth-token.0",
        "sb-old-auth-token.12",
        "sb-old-auth-token-user",
        "sb-old-auth-token-user.0",
        "sb-old-auth-token-code-verifier",
        "sb-old-auth-token-code-verifier.1",
        "sb-old-auth-token-flows-code-verifier",
        "sb-old-auth-token-flow-12345678-code-verifier",
        "sb-old-auth-token-flow-12345678-code-verifier.3",
        "mine",
    ];
    let others = [
        "sb-old-auth-token-other",
        "sb-old-auth-tokenx",
        "sb-old-auth-token.01",
        "sb-old-auth-token-flow-1234567-code-verifier",
        "sb-older-auth-token",
        "mine.0",
        "mine-user",
        "mine-code-verifier",
    ];
    let sent: Vec<&str> = deletable.iter().chain(&others).copied().collect();
    let reply = log_out_with(&app, &sent, &[]).await;
    let deleted: BTreeSet<&str> = reply.deleted_cookies().into_iter().collect();
    let mut expected = BTreeSet::from(deletable);
    expected.extend([SESSION, "sb-csrf-token"]);
    assert_eq!(deleted, expected);
    assert_eq!(reply.header("x-logout-cookies-left"), None);
}
