//! Sets the version that `logout-gateway --version` prints: that of the package and, if it is known, the commit.
//!
//! `GATEWAY_COMMIT` names the commit if the source is no git checkout, such as that of an archive.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// The length of a commit's abbreviation. A fixed one, because git's own depends on the number of objects in the clone,
/// and the same commit must give the same binary.
const LENGTH: usize = 12;

fn main() {
    println!("cargo::rerun-if-env-changed=GATEWAY_COMMIT");
    let given = env::var_os("GATEWAY_COMMIT").and_then(|commit| commit.into_string().ok());
    let commit = given.filter(|commit| !commit.is_empty()).or_else(checked_out_commit);
    let package = env!("CARGO_PKG_VERSION");
    let version = match commit.as_deref().map(|commit| commit.get(..LENGTH).unwrap_or(commit)) {
        Some(commit) => format!("{package} ({commit})"),
        None => package.to_owned(),
    };
    println!("cargo::rustc-env=GATEWAY_VERSION={version}");
}

/// The commit of this checkout, and the files that change with it. `None` without git, or if this is no checkout.
fn checked_out_commit() -> Option<String> {
    let commit = git(&["rev-parse", "HEAD"])?;
    let path = |name: &str| git(&["rev-parse", "--git-path", name]).map(PathBuf::from);
    // Cargo would run this script at every build if a named file did not exist. A branch has no file of its own while
    // it is only in `packed-refs`; its next commit then changes the folder of the branches.
    let branch = git(&["symbolic-ref", "--quiet", "HEAD"]).and_then(|branch| path(&branch));
    let branch = branch.map(|file| match file.parent() {
        Some(folder) if !file.exists() => folder.to_owned(),
        _ => file,
    });
    let watched = [path("HEAD"), path("packed-refs"), branch].into_iter().flatten();
    for file in watched.filter(|file| file.exists()) {
        println!("cargo::rerun-if-changed={}", file.display());
    }
    Some(commit)
}

/// The output of git in the folder of this package. A repository around that folder is another project's.
fn git(arguments: &[&str]) -> Option<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new("git")
        .current_dir(folder)
        .env("GIT_CEILING_DIRECTORIES", folder.parent().unwrap_or(folder))
        .env_remove("GIT_DIR")
        .args(arguments)
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
