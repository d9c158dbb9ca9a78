//! oauth2-proxy, which checks the same Bearer tokens with the same key set: its `/oauth2/auth` is a forward-auth.
//!
//! It verifies the signature of every request's token. Its own session cookie is not that of Supabase, so it is
//! measured by Bearer alone. Its request log is off.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::{World, command};
use crate::process::{Process, free_address};

pub(crate) const NAME: &str = "oauth2-proxy";
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn program() -> PathBuf {
    Path::new(ROOT).join("target/tools/bin/oauth2-proxy")
}

/// Builds the pinned version, unless it is there. Returns its version, or why it cannot be measured.
pub(crate) fn install() -> Result<String, String> {
    let status = Command::new("packaging/tools").arg("oauth2-proxy").current_dir(ROOT).status();
    if !status.is_ok_and(|status| status.success()) {
        return Err("packaging/tools oauth2-proxy failed".to_owned());
    }
    super::version(program(), "--version").ok_or_else(|| "it does not run".to_owned())
}

pub(crate) async fn start(world: &World) -> Process {
    let address = free_address();
    let mut command = command(program());
    command.args(["--provider=oidc", "--client-secret=unused", "--email-domain=*"]);
    command.args(["--cookie-secret=0123456789abcdef0123456789abcdef", "--cookie-secure=false"]);
    // The audience of Supabase's tokens is the id of this client.
    command.args(["--client-id=authenticated", "--skip-jwt-bearer-tokens=true"]);
    command.args(["--set-xauthrequest=true", "--upstream=static://202"]);
    command.args(["--request-logging=false", "--auth-logging=false"]);
    command.arg(format!("--oidc-issuer-url={}/auth/v1", world.url));
    command.arg(format!("--http-address={address}"));
    Process::start(NAME, command, address, ("/ping", 200)).await.0
}
