//! Logouts that GoTrue confirmed: which sessions the gateway adds to the revocation list.

use crate::harness::{Setup, assert_error, assert_success};
use gotrue_mock::Algorithm;

#[tokio::test]
async fn a_confirmed_logout_of_a_session_that_only_gotrue_can_verify_enters_the_list() {
    for (scope, own_ends, other_ends) in
        [("local", true, false), ("others", false, true), ("global", true, true)]
    {
        // Without the JWT secret the gateway cannot verify HS256 tokens: the session is unproven until GoTrue
        // answers 204.
        let app = Setup::new().algorithm(Algorithm::Hs256).start().await;
        let tokens = app.sign_up();
        let other = app.sign_in_again(&tokens);
        app.advance_time(1);
        let target = format!("/logout?scope={scope}");
        let reply = app.post(&target).bearer(&tokens.access_token).send().await;
        assert_success(&reply, "/logout", tokens.user_id, "revoked");
        for (tokens, ends) in [(&tokens, own_ends), (&other, other_ends)] {
            let reply = app.get("/api/auth/verify").bearer(&tokens.access_token).send().await;
            if ends {
                // The revocation list must give the reason `revoked`. If the gateway asked GoTrue, the reason
                // would be `not_found`.
                assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("revoked"));
            } else {
                assert_eq!(reply.status, 200, "{scope}");
            }
        }
        app.advance_time(1);
        assert_eq!(app.verify(&app.sign_in_again(&tokens)).await, 200, "{scope}");
    }
}

#[tokio::test]
async fn the_session_of_a_deleted_user_enters_the_list_for_every_scope() {
    for scope in ["local", "others", "global"] {
        let app = Setup::new().start().await;
        let tokens = app.sign_up();
        assert!(app.mock.delete_user(tokens.user_id));
        let target = format!("/logout?scope={scope}");
        let reply = app.post(&target).bearer(&tokens.access_token).send().await;
        assert_success(&reply, "/logout", tokens.user_id, "already-ended");
        let reply = app.get("/api/auth/verify").bearer(&tokens.access_token).send().await;
        assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("revoked"));
    }
}
