//! `node/server.mjs`: logout and check with the real `@supabase/ssr` in one Node.js process.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use super::{World, command, version};
use crate::process::{Process, free_address};

pub(crate) const NAME: &str = "Node.js";
const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/node");

/// The Node.js of the npm package, which is newer than that of most distributions, or else the installed one.
fn program() -> PathBuf {
    let packaged = Path::new(DIRECTORY).join("node_modules/.bin/node");
    if packaged.exists() { packaged } else { "node".into() }
}

/// Installs the pinned packages. Returns the version of Node.js, or why it cannot be measured.
pub(crate) fn install() -> Result<String, String> {
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"])
        .current_dir(DIRECTORY);
    match npm.stdout(Stdio::null()).status() {
        Ok(status) if status.success() => {}
        Ok(status) => return Err(format!("npm ci failed: {status}")),
        Err(error) => return Err(format!("npm does not run: {error}")),
    }
    let version = version(program(), "--version").ok_or("node does not run")?;
    Ok(format!("Node.js {version}, @supabase/ssr {}", ssr_version().ok_or("no @supabase/ssr")?))
}

fn ssr_version() -> Option<String> {
    let path = Path::new(DIRECTORY).join("node_modules/@supabase/ssr/package.json");
    let package: serde_json::Value = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    Some(package["version"].as_str()?.to_owned())
}

/// The server, and how long its start took.
pub(crate) async fn start(world: &World) -> (Process, Duration) {
    let address = free_address();
    let mut command = command(program());
    command
        .arg(Path::new(DIRECTORY).join("server.mjs"))
        .env("NODE_ENV", "production")
        .env("SUPABASE_URL", &world.url)
        .env("PORT", address.port().to_string());
    Process::start(NAME, command, address, ("/healthz", 200)).await
}
