//! What `check` prints about the store: its line in the output, and the warnings.

use std::{fs, os::unix::fs::PermissionsExt as _};

use logout_gateway::Clock;
use serde_json::json;

use super::{Algorithm, CheckOutput, Setup, TestApp, check, check_with_command, start_app};
use crate::harness::{RedisServer, unprivileged_gateway};

const PASSWORD: &str = "a-password-of-the-tests";

fn check_store(app: &TestApp, store: &str) -> CheckOutput {
    check(&[("SUPABASE_URL", app.mock.url()), ("GATEWAY_STORE", store)])
}

#[tokio::test]
async fn a_durable_redis_is_printed_with_its_version() {
    let (app, redis) = (start_app(Algorithm::Es256, 0).await, RedisServer::start().await);
    let checked = check_store(&app, &redis.url());
    assert_eq!(checked.status, Some(0), "{:?}", checked.lines);
    assert!(checked.line("store").starts_with("ok: Redis 7."), "{:?}", checked.lines);
    assert_eq!(checked.warnings(), [""; 0]);
}

#[tokio::test]
async fn a_file_is_printed_with_its_path_and_not_created() {
    let app = start_app(Algorithm::Es256, 0).await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let path = path.to_str().unwrap();
    let store = format!("file:{path}");
    let checked = check_store(&app, &store);
    assert_eq!(checked.line("store"), format!("ok: {path}, which is not there yet"));
    assert_eq!((checked.status, fs::exists(path).unwrap()), (Some(0), false));
    let gateway = Setup::new().flag("store", &store).start().await;
    gateway.stop_gateway();
    let checked = check_store(&app, &store);
    assert_eq!((checked.status, checked.line("store")), (Some(0), &*format!("ok: {path}")));
    fs::write(path, "not a store").unwrap();
    let checked = check_store(&app, &store);
    assert_eq!(checked.status, Some(1));
    assert!(checked.line("store").starts_with("FAILED: "), "{:?}", checked.lines);
}

#[tokio::test]
async fn a_file_that_cannot_be_created_is_an_error() {
    let app = start_app(Algorithm::Es256, 0).await;
    let directory = tempfile::tempdir().unwrap();
    let closed = directory.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o555)).unwrap();
    for (path, remedy) in [
        (directory.path().join("missing/store"), "check the path, whose directory must exist"),
        (closed.join("store"), "let this user read and write it and its directory"),
    ] {
        let store = format!("file:{}", path.display());
        let environment = [("SUPABASE_URL", app.mock.url()), ("GATEWAY_STORE", &store)];
        let checked = check_with_command(unprivileged_gateway(), &environment);
        assert_eq!(checked.status, Some(1));
        let failed = format!("FAILED: {} cannot be opened: ", path.display());
        let line = checked.line("store");
        assert!(line.starts_with(&failed) && line.ends_with(remedy), "{line}");
    }
    assert_eq!(fs::read_dir(&closed).unwrap().count(), 0);
}

#[tokio::test]
async fn a_file_that_a_gateway_uses_is_only_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = format!("file:{}", path.display());
    let app = Setup::new().start_time(Clock::system().unix_seconds()).flag("store", &store);
    let app = app.start().await;
    let checked = check_store(&app, &store);
    assert_eq!(checked.status, Some(0), "{:?}", checked.lines);
    assert_eq!(checked.line("store"), format!("ok: {}, which a gateway uses", path.display()));
    assert_eq!(checked.warnings(), [""; 0]);
    app.inject_fault(json!({"operation": "logout", "kind": "status", "status": 500}));
    let tokens = app.sign_up();
    let reply = app.post("/logout").bearer(&tokens.access_token).send().await;
    assert_eq!(reply.status, 202, "the gateway still has its file");
}

#[tokio::test]
async fn a_file_that_others_may_read_or_write_is_warned_of() {
    let app = start_app(Algorithm::Es256, 0).await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    fs::write(&path, "").unwrap();
    for (mode, warned) in [(0o600, false), (0o640, true), (0o604, true), (0o620, true)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let checked = check_store(&app, &format!("file:{}", path.display()));
        assert_eq!(checked.status, Some(0), "a weak setting is no failure");
        assert_eq!(checked.warnings(), vec!["GATEWAY_STORE"; usize::from(warned)], "{mode:o}");
        let named = checked.lines.iter().any(|line| line.contains(&format!("(mode {mode:o})")));
        assert_eq!(named, warned, "{:?}", checked.lines);
    }
}

#[tokio::test]
async fn an_unencrypted_redis_across_a_network_is_warned_of() {
    let (app, redis) = (start_app(Algorithm::Es256, 0).await, RedisServer::start().await);
    // `127.1` is this machine, but does not look like a loopback address, so `check` must warn about missing
    // TLS.
    let checked = check_store(&app, &format!("redis://127.1:{}", redis.port()));
    assert_eq!(checked.status, Some(0), "a weak setting is no failure");
    assert_eq!(checked.warnings(), ["GATEWAY_STORE"]);
    assert!(checked.lines.iter().any(|line| line.contains("use rediss://")), "{:?}", checked.lines);
}

#[tokio::test]
async fn a_redis_that_may_lose_records_is_warned_of() {
    let app = start_app(Algorithm::Es256, 0).await;
    let persistent = ["--appendonly", "yes"];
    for (case, options, warning) in [
        ("none", &[][..], Some("writes nothing to its disk")),
        ("snapshots", &["--save", "3600 1"], Some("writes only snapshots")),
        (
            "no fsync",
            &[&persistent[..], &["--appendfsync", "no"]].concat(),
            Some("leaves it to the system when its writes reach the disk (appendfsync no)"),
        ),
        ("every second", &persistent, None),
        (
            "evicting",
            &[&persistent[..], &["--maxmemory", "1gb", "--maxmemory-policy", "volatile-lru"]]
                .concat(),
            Some("evicts keys when it is full (maxmemory-policy volatile-lru)"),
        ),
        ("never full", &[&persistent[..], &["--maxmemory-policy", "allkeys-lru"]].concat(), None),
        ("bounded", &[&persistent[..], &["--maxmemory", "1gb"]].concat(), None),
    ] {
        let redis = RedisServer::start_with_options(options).await;
        let checked = check_store(&app, &redis.url());
        assert_eq!(checked.status, Some(0), "{case}: a weak setting is no failure");
        let warned: Vec<&String> = checked
            .lines
            .iter()
            .filter(|line| line.starts_with("warning: GATEWAY_STORE: "))
            .collect();
        assert_eq!(warned.len(), usize::from(warning.is_some()), "{case}: {warned:?}");
        assert!(warning.is_none_or(|text| warned[0].contains(text)), "{case}: {warned:?}");
    }
}

#[tokio::test]
async fn a_redis_that_refuses_config_is_warned_of_without_its_password() {
    let app = start_app(Algorithm::Es256, 0).await;
    let redis = RedisServer::start_with_password(PASSWORD).await;
    let password = format!(">{PASSWORD}");
    let user = ["ACL", "SETUSER", "gateway", "on", &password, "~*", "+@all", "-@dangerous"];
    redis.command::<()>(&user);
    let port = redis.port();
    let checked = check_store(&app, &format!("redis://gateway:{PASSWORD}@127.0.0.1:{port}"));
    assert_eq!((checked.status, checked.line("store")), (Some(0), "ok: Redis"));
    let is_printed = checked
        .lines
        .iter()
        .any(|line| line.contains("refuses CONFIG, so it is not known whether it writes"));
    assert!(is_printed, "{:?}", checked.lines);

    let checked = check_store(&app, &format!("redis://:wrong-{PASSWORD}@127.0.0.1:{port}"));
    assert_eq!(checked.status, Some(1));
    assert_eq!(checked.line("store"), "FAILED: Redis refuses the user or the password");
    assert!(!checked.lines.concat().contains(PASSWORD) && !checked.stderr.contains(PASSWORD));
    redis.kill();
    let checked = check_store(&app, &redis.url());
    assert_eq!(checked.status, Some(1));
    assert!(
        checked.line("store").starts_with("FAILED: no connection to Redis"),
        "{:?}",
        checked.lines
    );
}
