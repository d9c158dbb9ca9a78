//! Diagnoses a Redis: whether a gateway can use it, and whether its settings can lose data.

use std::collections::HashMap;

use redis::{RedisResult, cmd};

use super::{
    commands,
    connection::TIMEOUT,
    error::RedisStoreError,
    records::{self, RedisKeys},
    server::{RedisConnection, RedisServer},
};
use crate::{config::RedisAddress, store::Diagnosis};

/// The oldest supported version of Redis. Older versions are no longer maintained, and before 5.0 a script
/// could not write after reading the clock.
const OLDEST: (u32, u32) = (6, 2);

/// The answer to the command `INFO`; empty if the user of the gateway may not run it.
#[derive(Default)]
pub(super) struct Info(HashMap<String, String>);

impl Info {
    fn of(text: &str) -> Self {
        let lines = text.lines().filter_map(|line| line.trim().split_once(':'));
        Self(lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn version(&self) -> Option<(u32, u32)> {
        let mut numbers = self.get("redis_version")?.split('.').map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    }
}

/// Connects, and verifies that a gateway can use this Redis: its version, its mode, and the permissions of
/// the user.
pub(super) async fn connected(
    server: &RedisServer,
    keys: &RedisKeys,
) -> Result<(RedisConnection, Info), RedisStoreError> {
    let mut connection = server.connect(TIMEOUT).await?;
    let info = info(&mut connection).await?;
    if let Some(version) = info.version().filter(|version| *version < OLDEST) {
        let ((major, minor), (least, lesser)) = (version, OLDEST);
        let text = format!(
            "Redis is too old: it is {major}.{minor}, and {least}.{lesser} or later is needed"
        );
        return Err(RedisStoreError::permanent(text));
    }
    if info.get("redis_mode") == Some("cluster") {
        return Err(RedisStoreError::permanent(
            "this Redis is part of a cluster, which cannot be used",
        ));
    }
    check_commands(keys, &mut connection).await?;
    Ok((connection, info))
}

async fn info(connection: &mut RedisConnection) -> Result<Info, RedisStoreError> {
    match cmd("INFO").query_async::<String>(connection).await {
        Ok(text) => Ok(Info::of(&text)),
        Err(error) if error.code() == Some("NOPERM") => Ok(Info::default()),
        Err(error) => Err(error.into()),
    }
}

/// Runs the commands that every request needs, without changing anything.
async fn check_commands(
    keys: &RedisKeys,
    connection: &mut RedisConnection,
) -> Result<(), RedisStoreError> {
    let question = commands::guarded_query(keys);
    let (format,): (Option<String>,) = question.query_async(connection).await?;
    records::readable(format.as_deref())?;
    Ok(commands::revoke(keys, &[]).query_async(connection).await?)
}

/// Returns the version, which `check` prints, and the weak settings, which `check` and `serve` report.
pub(super) async fn diagnose(address: &RedisAddress) -> Result<Diagnosis, RedisStoreError> {
    let server = RedisServer::new(address)?;
    let keys = RedisKeys::new(&address.prefix);
    let (mut connection, info) = connected(&server, &keys).await?;
    // This write changes nothing, but a Redis over its `maxmemory` refuses it, as it would refuse to queue a
    // logout.
    cmd("SETRANGE").arg(&keys.format).arg(0).arg("").exec_async(&mut connection).await?;
    let mut weaknesses = Vec::new();
    weaknesses.extend(persistence_weakness(&info, &mut connection).await);
    weaknesses.extend(eviction_weakness(&info));
    let name = if info.get("valkey_version").is_some() { "Valkey" } else { "Redis" };
    let version = info.get("valkey_version").or(info.get("redis_version")).unwrap_or("");
    Ok(Diagnosis { found: format!("{name} {version}").trim_end().to_owned(), weaknesses })
}

/// Reports settings with which Redis loses data at a restart or a crash.
async fn persistence_weakness(info: &Info, connection: &mut RedisConnection) -> Option<String> {
    let mut setting = async |name: &str| -> RedisResult<String> {
        let mut question = cmd("CONFIG");
        question.arg("GET").arg(name);
        let (_, value): (String, String) = question.query_async(connection).await?;
        Ok(value)
    };
    if info.get("aof_enabled") == Some("1") {
        let is_not_synced = setting("appendfsync").await.is_ok_and(|when| when == "no");
        return is_not_synced.then(|| {
            "Redis leaves it to the system when its writes reach the disk (appendfsync no): a crash of \
             its machine loses the revocations and queued logouts of the last half minute or more; set \
             appendfsync everysec"
                .to_owned()
        });
    }
    let weakness = match setting("save").await {
        Ok(save) if save.is_empty() => {
            "Redis writes nothing to its disk (appendonly no, no save): its restart loses the queued \
             logouts, and the revocation list unless a gateway is running; set appendonly yes"
        }
        Ok(_) => {
            "Redis writes only snapshots to its disk (appendonly no): its crash loses the revocations \
             and queued logouts since the last one; set appendonly yes"
        }
        Err(_) => {
            "Redis refuses CONFIG, so it is not known whether it writes to its disk: make sure that \
             appendonly is on"
        }
    };
    Some(weakness.to_owned())
}

/// Reports a Redis that evicts keys when it is full.
fn eviction_weakness(info: &Info) -> Option<String> {
    let policy = info.get("maxmemory_policy").filter(|policy| *policy != "noeviction")?;
    info.get("maxmemory").filter(|most| *most != "0")?;
    Some(format!(
        "Redis evicts keys when it is full (maxmemory-policy {policy}), and verify accepts the tokens \
         of an evicted revocation again: set maxmemory-policy noeviction"
    ))
}
