//! What is told of the store.

use std::fs;

use super::{Algorithm, Setup, Stage, Told, check, stage};
use crate::harness::RedisServer;

const PASSWORD: &str = "a-password-of-the-tests";

fn check_store(stage: &Stage, store: &str) -> Told {
    check(&[("SUPABASE_URL", stage.mock.url()), ("GATEWAY_STORE", store)])
}

#[tokio::test]
async fn a_redis_that_keeps_everything_is_told_by_its_version() {
    let (stage, redis) = (stage(Algorithm::Es256, 0).await, RedisServer::start().await);
    let told = check_store(&stage, &redis.url());
    assert_eq!(told.status, Some(0), "{:?}", told.lines);
    assert!(told.of("store").starts_with("ok: Redis 7."), "{:?}", told.lines);
    assert_eq!(told.warned(), [""; 0]);
}

#[tokio::test]
async fn a_file_is_told_by_its_path_and_not_created() {
    let stage = stage(Algorithm::Es256, 0).await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let path = path.to_str().unwrap();
    let store = format!("file:{path}");
    let told = check_store(&stage, &store);
    assert_eq!(told.of("store"), format!("ok: {path}, which is not there yet"));
    assert_eq!((told.status, fs::exists(path).unwrap()), (Some(0), false));
    let gateway = Setup::new().flag("store", &store).start().await;
    gateway.stop_gateway();
    let told = check_store(&stage, &store);
    assert_eq!((told.status, told.of("store")), (Some(0), &*format!("ok: {path}")));
    fs::write(path, "nothing that this is").unwrap();
    let told = check_store(&stage, &store);
    assert_eq!(told.status, Some(1));
    assert!(told.of("store").starts_with("FAILED: "), "{:?}", told.lines);
}

#[tokio::test]
async fn a_redis_that_may_lose_something_is_warned_of() {
    let stage = stage(Algorithm::Es256, 0).await;
    let persistent = ["--appendonly", "yes"];
    for (case, options, warning) in [
        ("none", &[][..], Some("writes nothing to its disk")),
        ("snapshots", &["--save", "3600 1"], Some("writes snapshots alone")),
        (
            "evicting",
            &[&persistent[..], &["--maxmemory", "1gb", "--maxmemory-policy", "volatile-lru"]]
                .concat(),
            Some("throws keys away when it is full (maxmemory-policy volatile-lru)"),
        ),
        ("never full", &[&persistent[..], &["--maxmemory-policy", "allkeys-lru"]].concat(), None),
        ("bounded", &[&persistent[..], &["--maxmemory", "1gb"]].concat(), None),
    ] {
        let redis = RedisServer::with(options).await;
        let told = check_store(&stage, &redis.url());
        assert_eq!(told.status, Some(0), "{case}: a weak setting fails nothing");
        let warned: Vec<&String> =
            told.lines.iter().filter(|line| line.starts_with("warning: GATEWAY_STORE: ")).collect();
        assert_eq!(warned.len(), usize::from(warning.is_some()), "{case}: {warned:?}");
        assert!(warning.is_none_or(|text| warned[0].contains(text)), "{case}: {warned:?}");
    }
}

#[tokio::test]
async fn what_redis_does_not_tell_is_said_and_no_password() {
    let stage = stage(Algorithm::Es256, 0).await;
    let redis = RedisServer::with_password(PASSWORD).await;
    let password = format!(">{PASSWORD}");
    let user = ["ACL", "SETUSER", "gateway", "on", &password, "~*", "+@all", "-@dangerous"];
    redis.ask::<()>(&user);
    let port = redis.port();
    let told = check_store(&stage, &format!("redis://gateway:{PASSWORD}@127.0.0.1:{port}"));
    assert_eq!((told.status, told.of("store")), (Some(0), "ok: Redis"));
    let told_so = told.lines.iter().any(|line| line.contains("does not tell whether it writes"));
    assert!(told_so, "{:?}", told.lines);

    let told = check_store(&stage, &format!("redis://:wrong-{PASSWORD}@127.0.0.1:{port}"));
    assert_eq!(told.status, Some(1));
    assert_eq!(told.of("store"), "FAILED: Redis refuses the user or the password");
    assert!(!told.lines.concat().contains(PASSWORD) && !told.stderr.contains(PASSWORD));
    redis.kill();
    let told = check_store(&stage, &redis.url());
    assert_eq!(told.status, Some(1));
    assert!(told.of("store").starts_with("FAILED: no connection to Redis"), "{:?}", told.lines);
}
