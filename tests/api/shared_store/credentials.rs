//! Password, user, TLS, and what is no Redis that can be used: told at the start, without any secret.

use logout_gateway::Clock;

use super::{assert_revoked, verify_there};
use crate::harness::{GatewayProcess, RedisServer, Setup, TestApp, assert_success};

const PASSWORD: &str = "a-password-of-the-tests";

async fn start_app() -> TestApp {
    Setup::new().start_time(Clock::system().unix_seconds()).start().await
}

/// A logout and its effect through a gateway with that store.
async fn works(app: &TestApp, environment: &[(&str, &str)]) {
    let gateway = GatewayProcess::start(app, environment).await;
    let tokens = app.sign_up();
    assert_eq!(verify_there(&gateway, &tokens).send().await.status, 200);
    let logout = gateway.request("POST", "/logout").bearer(&tokens.access_token);
    assert_success(&logout.send().await, "/logout", tokens.user_id, "revoked");
    assert_revoked(&verify_there(&gateway, &tokens).send().await);
    let log = gateway.stop();
    // Weak settings name their variable; the second verify is a line of the level `warn` by itself.
    let weak = |line: &serde_json::Value| !line["variable"].is_null();
    let refused = |line: &serde_json::Value| line["session_id"] == tokens.session_id.to_string();
    let mut lines = log.lines.iter().filter(|line| !weak(line) && !refused(line));
    assert!(lines.all(|line| line["level"] != "WARN" && line["level"] != "ERROR"), "{}", log.text);
    log.assert_contains_none_of(&[PASSWORD.to_owned()]);
}

/// What a gateway says that does not start.
async fn refused(app: &TestApp, store: &str) -> String {
    let (status, said) =
        GatewayProcess::expect_start_failure(app, &[("GATEWAY_STORE", store)]).await;
    assert_eq!(status, Some(1), "{said}");
    for secret in [PASSWORD, "wrong-password", "wrong%2Dpassword"] {
        assert!(!said.contains(secret), "{said}");
    }
    said
}

#[tokio::test]
async fn a_password_is_taken_and_a_user_with_a_name() {
    let (app, redis) = (start_app().await, RedisServer::start_with_password(PASSWORD).await);
    works(&app, &[("GATEWAY_STORE", &redis.url())]).await;
    // What this user may do is all that a gateway needs.
    let password = format!(">{PASSWORD}%");
    let user = ["ACL", "SETUSER", "gateway", "on", &password, "~logout-gateway:*"];
    let permitted = ["+@all", "-@dangerous", "-@admin"];
    let ok: String = redis.command(&[&user[..], &permitted].concat());
    assert_eq!(ok, "OK");
    let store = format!("redis://gateway:{PASSWORD}%25@127.0.0.1:{}", redis.port());
    works(&app, &[("GATEWAY_STORE", &store)]).await;
}

#[tokio::test]
async fn tls_is_spoken_with_whom_the_system_trusts() {
    let (app, redis) = (start_app().await, RedisServer::start_with_tls().await);
    let (store, certificate) = (redis.tls_url(), redis.certificate());
    works(&app, &[("GATEWAY_STORE", &store), ("SSL_CERT_FILE", &certificate)]).await;
    // Nobody vouches for it.
    assert!(
        refused(&app, &store)
            .await
            .contains("no TLS connection to Redis: invalid peer certificate")
    );
}

#[tokio::test]
async fn an_unusable_redis_is_an_error_at_the_start_without_a_secret() {
    let app = start_app().await;
    let (open, closed) =
        (RedisServer::start().await, RedisServer::start_with_password(PASSWORD).await);
    let ok: String =
        closed.command(&["ACL", "SETUSER", "poor", "on", ">wrong-password", "~*", "+@read"]);
    assert_eq!(ok, "OK");
    let replica = ["--replicaof", "127.0.0.1", "1"];
    let replica = RedisServer::start_with_options(&replica).await;
    let cluster = RedisServer::start_with_options(&["--cluster-enabled", "yes"]).await;
    let newer = RedisServer::start().await;
    let set: String = newer.command(&["SET", "logout-gateway:format", "2"]);
    assert_eq!(set, "OK");
    let (open, closed) = (open.port(), closed.port());
    let at = |who: &str, port: u16, path: &str| format!("redis://{who}127.0.0.1:{port}{path}");
    let mock = app.mock.url().rsplit(':').next().unwrap().parse().unwrap();
    for (case, store, says) in [
        ("no password", at("", closed, ""), "Redis wants a password, and the address names none"),
        ("no password, a database", at("", closed, "/3"), "Redis wants a password"),
        ("a wrong one", at(":wrong-password@", closed, ""), "refuses the user or the password"),
        ("encoded", at(":wrong%2Dpassword@", closed, ""), "refuses the user or the password"),
        ("a wrong user", at("me:wrong-password@", closed, ""), "refuses the user or the password"),
        ("one too many", at(":wrong-password@", open, ""), "names a password, and Redis has none"),
        (
            "a poor user",
            at("poor:wrong-password@", closed, ""),
            "does not permit this user a command",
        ),
        ("a database", at("", open, "/99"), "Redis has no database 99"),
        ("a replica", replica.url(), "a replica, which takes no writes"),
        ("a cluster", cluster.url(), "part of a cluster, which cannot be used"),
        ("a web server", at("", mock, ""), "the server at this address is not a Redis"),
        ("the future", newer.url(), "was written by a newer release"),
    ] {
        let said = refused(&app, &store).await;
        assert!(said.contains("GATEWAY_STORE") && said.contains(says), "{case}: {said}");
    }
}
