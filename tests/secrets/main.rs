//! Runs all tests of the API with everything logged, and searches each byte of that log for every token,
//! cookie value, key and e-mail address that they used: as it is, percent-encoded and in base64.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a helper that fails, fails its test"
)]

mod needles;

use std::{env, fs, process::Command};

use base64::{Engine, engine::general_purpose::STANDARD};

use self::needles::Needles;

/// What a run has at least: else something is not looked at.
const SECRETS: usize = 5_000;
const AUDIT_LINES: usize = 2_000;

#[test]
fn no_log_line_of_the_whole_suite_has_a_secret_in_any_encoding() {
    let folder = tempfile::tempdir().unwrap();
    let mut suite = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    suite.args(["test", "--locked", "--test", "api"]).env("LEAK_CHECK_DIR", folder.path());
    // What cargo says to its child is not meant for another cargo.
    suite.env_remove("CARGO_MANIFEST_DIR").env_remove("CARGO_PKG_NAME");
    assert!(suite.status().unwrap().success(), "the suite itself");

    let log = fs::read(folder.path().join("log")).unwrap();
    let secrets = fs::read_to_string(folder.path().join("secrets")).unwrap();
    let mut secrets: Vec<&str> = secrets.lines().collect();
    secrets.sort_unstable();
    secrets.dedup();
    let mut needles = Needles::default();
    for secret in &secrets {
        needles.add(&STANDARD.decode(secret).unwrap());
    }
    // Whoever it is: all users of the tests are there.
    needles.add(b"@example.com");
    let audited = String::from_utf8_lossy(&log).matches(r#""target":"audit""#).count();
    println!("{} secrets, {} bytes of log, {audited} audit lines", secrets.len(), log.len());
    assert!(secrets.len() >= SECRETS && audited >= AUDIT_LINES);
    let found = needles.found_in(&log);
    assert!(found.is_empty(), "{} lines, such as {:#?}", found.len(), &found[..found.len().min(9)]);
}
