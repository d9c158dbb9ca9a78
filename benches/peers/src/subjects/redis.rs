//! Redis as the store of the gateway, with the append-only file that `docs/sizing.md` recommends.

use std::{
    fmt::Write as _,
    io::Write as _,
    process::{Command, Stdio},
};

use uuid::Uuid;

use super::{World, command, version};
use crate::{
    clock::unix_seconds,
    process::{Process, free_address},
};

const PROGRAM: &str = "redis-server";
/// Longer than the benchmark runs.
const LIFETIME_SECONDS: u64 = 3600;

pub(crate) struct Redis {
    pub(crate) process: Process,
}

/// Its version; `None` if it is not installed.
pub(crate) fn installed() -> Option<String> {
    version(PROGRAM, "--version")
}

impl Redis {
    pub(crate) async fn start(world: &World) -> Self {
        let address = free_address();
        let mut command = command(PROGRAM);
        command.args(["--bind", "127.0.0.1", "--port", &address.port().to_string()]);
        command.args(["--save", "", "--appendonly", "yes"]).arg("--appenddirname");
        command.arg(format!("redis-{}", address.port())).arg("--dir").arg(world.directory.path());
        Self { process: Process::start_listening("Redis", command, address).await }
    }

    /// The value of `GATEWAY_STORE` for keys with this prefix.
    pub(crate) fn url(&self, prefix: &str) -> String {
        format!("redis://{}?prefix={prefix}", self.process.address)
    }

    /// Writes ended sessions to the revocation list, as src/store/redis/records.rs encodes them. Logouts that write
    /// as many would take minutes.
    pub(crate) fn write_revocations(&self, prefix: &str, entries: u32) {
        let until = unix_seconds() + LIFETIME_SECONDS;
        let mut commands = format!("SET {prefix}format 1\r\n");
        for _ in 0..entries {
            write!(commands, "ZADD {prefix}sessions {until} \"1 {}\"\r\n", Uuid::new_v4()).unwrap();
        }
        let mut cli = Command::new("redis-cli");
        cli.args(["-p", &self.process.address.port().to_string(), "--pipe"]);
        let mut cli = cli.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        cli.stdin.take().unwrap().write_all(commands.as_bytes()).unwrap();
        let output = cli.wait_with_output().unwrap();
        let output = String::from_utf8_lossy(&output.stdout);
        let expected = format!("errors: 0, replies: {}", u64::from(entries) + 1);
        assert!(output.contains(&expected), "Redis has not taken the revocations: {output}");
    }
}
