//! Passwords, users and TLS of Redis. If the gateway cannot use Redis, its start must fail with an error that
//! contains no secret.

use logout_gateway::Clock;

use super::{assert_revoked, verify_at_binary};
use crate::harness::{GatewayProcess, RedisServer, Setup, TestApp, assert_success};

const PASSWORD: &str = "a-password-of-the-tests";

async fn start_app() -> TestApp {
    Setup::new().start_time(Clock::system().unix_seconds()).start().await
}

/// Asserts that a logout takes effect at a gateway that is started with this environment.
async fn assert_logout_works(app: &TestApp, environment: &[(&str, &str)]) {
    let gateway = GatewayProcess::start(app, environment).await;
    let tokens = app.sign_up();
    assert_eq!(verify_at_binary(&gateway, &tokens).send().await.status, 200);
    let logout = gateway.request("POST", "/logout").bearer(&tokens.access_token);
    assert_success(&logout.send().await, "/logout", tokens.user_id, "revoked");
    assert_revoked(&verify_at_binary(&gateway, &tokens).send().await);
    let log = gateway.stop();
    // Ignore warnings about weak settings, which have the field `variable`, and the warning about the refused
    // `verify`.
    let is_of_weak_setting = |line: &serde_json::Value| !line["variable"].is_null();
    let is_of_refusal =
        |line: &serde_json::Value| line["session_id"] == tokens.session_id.to_string();
    let mut lines =
        log.lines.iter().filter(|line| !is_of_weak_setting(line) && !is_of_refusal(line));
    assert!(lines.all(|line| line["level"] != "WARN" && line["level"] != "ERROR"), "{}", log.text);
    log.assert_contains_none_of(&[PASSWORD.to_owned()]);
}

/// The error that a gateway reports when it cannot start with this store.
async fn start_error(app: &TestApp, store: &str) -> String {
    let (status, error) =
        GatewayProcess::expect_start_failure(app, &[("GATEWAY_STORE", store)]).await;
    assert_eq!(status, Some(1), "{error}");
    for secret in [PASSWORD, "wrong-password", "wrong%2Dpassword"] {
        assert!(!error.contains(secret), "{error}");
    }
    error
}

#[tokio::test]
async fn a_password_and_a_named_user_are_used() {
    let (app, redis) = (start_app().await, RedisServer::start_with_password(PASSWORD).await);
    assert_logout_works(&app, &[("GATEWAY_STORE", &redis.url())]).await;
    // The user has only the permissions that a gateway needs.
    let password = format!(">{PASSWORD}%");
    let user = ["ACL", "SETUSER", "gateway", "on", &password, "~logout-gateway:*"];
    let permitted = ["+@all", "-@dangerous", "-@admin"];
    let ok: String = redis.command(&[&user[..], &permitted].concat());
    assert_eq!(ok, "OK");
    let store = format!("redis://gateway:{PASSWORD}%25@127.0.0.1:{}", redis.port());
    assert_logout_works(&app, &[("GATEWAY_STORE", &store)]).await;
}

#[tokio::test]
async fn tls_accepts_only_certificates_that_the_system_trusts() {
    let (app, redis) = (start_app().await, RedisServer::start_with_tls().await);
    let (store, certificate) = (redis.tls_url(), redis.certificate());
    assert_logout_works(&app, &[("GATEWAY_STORE", &store), ("SSL_CERT_FILE", &certificate)]).await;
    // The gateway must refuse the certificate, because the system does not trust it.
    assert!(
        start_error(&app, &store)
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
    let at =
        |userinfo: &str, port: u16, path: &str| format!("redis://{userinfo}127.0.0.1:{port}{path}");
    let mock = app.mock.url().rsplit(':').next().unwrap().parse().unwrap();
    for (case, store, expected) in [
        ("no password", at("", closed, ""), "Redis wants a password, and the address names none"),
        ("no password, a database", at("", closed, "/3"), "Redis wants a password"),
        (
            "a wrong password",
            at(":wrong-password@", closed, ""),
            "refuses the user or the password",
        ),
        (
            "an encoded password",
            at(":wrong%2Dpassword@", closed, ""),
            "refuses the user or the password",
        ),
        ("a wrong user", at("me:wrong-password@", closed, ""), "refuses the user or the password"),
        (
            "a needless password",
            at(":wrong-password@", open, ""),
            "names a password, and Redis has none",
        ),
        (
            "a user without permissions",
            at("poor:wrong-password@", closed, ""),
            "does not permit this user a command",
        ),
        ("a database", at("", open, "/99"), "Redis has no database 99"),
        ("a replica", replica.url(), "a replica, which takes no writes"),
        ("a cluster", cluster.url(), "part of a cluster, which cannot be used"),
        ("a web server", at("", mock, ""), "the server at this address is not a Redis"),
        ("a newer release", newer.url(), "was written by a newer release"),
    ] {
        let error = start_error(&app, &store).await;
        assert!(error.contains("GATEWAY_STORE") && error.contains(expected), "{case}: {error}");
    }
}
