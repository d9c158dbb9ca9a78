//! The programs that are measured, each in the set-up that does the same work as the gateway, as far as it can.

use std::{
    num::NonZero,
    path::{Path, PathBuf},
    process::Command,
    thread::available_parallelism,
    time::Duration,
};

use tempfile::TempDir;

use super::{
    process::{Process, free_address},
    sessions::Issuer,
};

pub(crate) mod gateway;
pub(crate) mod kind;
pub(crate) mod nginx;
pub(crate) mod node;
pub(crate) mod oauth2_proxy;
pub(crate) mod redis;

/// What all subjects share: the stub of GoTrue, a directory for their files, and the number of their threads.
pub(crate) struct World {
    pub(crate) issuer: Issuer,
    pub(crate) upstream: Process,
    /// The address of the Supabase project that the stub serves.
    pub(crate) url: String,
    pub(crate) binary: PathBuf,
    pub(crate) directory: TempDir,
    /// The threads that serve requests in the gateway, and the worker processes of nginx: one for each core.
    pub(crate) threads: usize,
}

impl World {
    /// Starts the stub, whose logouts take `delay`.
    pub(crate) async fn start(binary: &Path, delay: Duration) -> Self {
        let address = free_address();
        let url = format!("http://{address}");
        let issuer = Issuer::new(&url);
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["upstream", &address.to_string(), &issuer.jwks()]);
        command.arg(delay.as_millis().to_string());
        let (upstream, _) = Process::start("upstream", command, address, ("/verify", 200)).await;
        let threads = available_parallelism().map_or(1, NonZero::get);
        let directory = tempfile::tempdir().unwrap();
        Self { issuer, upstream, url, binary: binary.to_owned(), directory, threads }
    }
}

/// A command without the environment of the benchmark, but with its `PATH`.
fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().envs(std::env::vars_os().filter(|(name, _)| name == "PATH"));
    command
}

/// The first line that a program prints about its version; `None` if it does not run.
pub(crate) fn version(program: impl AsRef<std::ffi::OsStr>, flag: &str) -> Option<String> {
    let output = command(program).arg(flag).output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).lines().next().map(|line| line.trim().to_owned())
}
