//! The version that the binary prints.

use std::process::Command;

use crate::harness::gateway_binary;

#[test]
fn the_version_names_the_commit_of_the_checkout() {
    let mut git = Command::new("git");
    git.args(["rev-parse", "HEAD"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    let commit = git.output().ok().filter(|head| head.status.success());
    let commit = commit.map(|head| format!(" ({})", String::from_utf8_lossy(&head.stdout[..12])));
    let run = Command::new(gateway_binary()).arg("--version").output().unwrap();
    let expected =
        format!("logout-gateway {}{}\n", env!("CARGO_PKG_VERSION"), commit.unwrap_or_default());
    assert_eq!(String::from_utf8(run.stdout).unwrap(), expected);
}
