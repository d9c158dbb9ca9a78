//! Runs all tests of `tests/api` with log level `trace`, and searches the whole log for every token, cookie
//! value, key and e-mail address that those tests used: unchanged, percent-encoded and in base64.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a helper that panics makes its test fail, as it should"
)]

mod secret_search;

use std::{env, fs, process::Command};

use base64::{Engine, engine::general_purpose::STANDARD};

use self::secret_search::SecretSearch;

/// The fewest secrets and audit lines that a complete run records. A smaller number means that the tests
/// failed to record some.
const MIN_SECRETS: usize = 5_000;
const MIN_AUDIT_LINES: usize = 2_000;

#[test]
fn no_log_line_of_the_whole_suite_has_a_secret_in_any_encoding() {
    let directory = tempfile::tempdir().unwrap();
    let mut suite = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    suite.args(["test", "--locked", "--test", "api"]).env("LEAK_CHECK_DIR", directory.path());
    // Remove the variables that cargo sets for this test, because they are not meant for the inner cargo.
    suite.env_remove("CARGO_MANIFEST_DIR").env_remove("CARGO_PKG_NAME");
    assert!(suite.status().unwrap().success(), "a test of tests/api failed");

    let log = fs::read(directory.path().join("log")).unwrap();
    let secrets = fs::read_to_string(directory.path().join("secrets")).unwrap();
    let mut secrets: Vec<&str> = secrets.lines().collect();
    secrets.sort_unstable();
    secrets.dedup();
    let mut search = SecretSearch::default();
    for secret in &secrets {
        search.add(&STANDARD.decode(secret).unwrap());
    }
    // Every user of the tests has an e-mail address of this domain, so no log line may contain the domain.
    search.add(b"@example.com");
    let audit_lines = String::from_utf8_lossy(&log).matches(r#""target":"audit""#).count();
    println!("{} secrets, {} bytes of log, {audit_lines} audit lines", secrets.len(), log.len());
    assert!(secrets.len() >= MIN_SECRETS && audit_lines >= MIN_AUDIT_LINES);
    let found = search.find_in(&log);
    assert!(
        found.is_empty(),
        "{} log lines have a secret, such as {:#?}",
        found.len(),
        &found[..found.len().min(9)]
    );
}
