//! The command `check`: the output and the exit status of the real binary against the GoTrue mock.

mod servers;
mod stores;

use std::process::{Command, Output};

use gotrue_mock::{Algorithm, TEST_SECRET};
use logout_gateway::Clock;
use rstest::rstest;
use serde_json::json;

use crate::harness::{SECRET, Setup, TestApp, leak_check};

/// What one run of `check` printed, and its exit status.
pub(crate) struct CheckOutput {
    pub(crate) status: Option<i32>,
    pub(crate) lines: Vec<String>,
    pub(crate) stderr: String,
}

impl CheckOutput {
    /// The text after the name of `part` in its line of the output.
    #[track_caller]
    pub(crate) fn line(&self, part: &str) -> &str {
        let part = format!("{part}: ");
        let mut lines = self.lines.iter().filter_map(|line| line.strip_prefix(&part));
        let checked = lines.next().unwrap_or_else(|| panic!("no {part}{:?}", self.lines));
        assert_eq!(lines.next(), None, "two lines: {:?}", self.lines);
        checked
    }

    /// The names of the variables that the warnings of the output concern.
    pub(crate) fn warnings(&self) -> Vec<&str> {
        let warnings = self.lines.iter().filter_map(|line| line.strip_prefix("warning: "));
        warnings.map(|warning| warning.split(':').next().unwrap()).collect()
    }
}

/// Runs `check` with only the variables of `environment`, and with a valid secret and address if it has none.
pub(crate) fn check(environment: &[(&str, &str)]) -> CheckOutput {
    check_with_command(Command::new(env!("CARGO_BIN_EXE_logout-gateway")), environment)
}

/// Runs `check` through a command that executes the binary. An empty value in `environment` removes the
/// variable.
fn check_with_command(mut command: Command, environment: &[(&str, &str)]) -> CheckOutput {
    command.arg("check").env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command.envs([("GATEWAY_SECRET", SECRET), ("GATEWAY_BIND", "127.0.0.1:0")]);
    for (variable, value) in environment {
        match *value {
            "" => command.env_remove(variable),
            value => command.env(variable, value),
        };
    }
    let Output { status, stdout, stderr } = command.output().unwrap();
    let stdout = String::from_utf8(stdout).unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    for (variable, value) in environment {
        leak_check::record_setting(variable, value);
    }
    leak_check::record_log([&*stdout, &*stderr].concat());
    for secret in [SECRET, TEST_SECRET, API_KEY] {
        assert!(!stdout.contains(secret) && !stderr.contains(secret), "{stdout}{stderr}");
    }
    CheckOutput {
        status: status.code(),
        lines: stdout.lines().map(str::to_owned).collect(),
        stderr,
    }
}

const API_KEY: &str = "sb_publishable_of_the_tests";

/// Starts a mock whose clock is `ahead` seconds ahead of the system's clock, on which the binary runs.
async fn start_app(algorithm: Algorithm, ahead: i64) -> TestApp {
    let now = Clock::system().unix_seconds();
    Setup::new().algorithm(algorithm).start_time(now + ahead).start().await
}

#[rstest]
#[case::es256(Algorithm::Es256, "ok: ES256")]
#[case::rs256(Algorithm::Rs256, "ok: RS256")]
#[case::ed_dsa(Algorithm::EdDsa, "ok: EdDSA")]
#[case::hs256(Algorithm::Hs256, "ok: no keys: the project signs with HS256")]
#[tokio::test]
async fn a_good_configuration_prints_a_line_for_each_part(
    #[case] algorithm: Algorithm,
    #[case] keys: &str,
) {
    let app = start_app(algorithm, 0).await;
    let secret = if algorithm == Algorithm::Hs256 { TEST_SECRET } else { "" };
    let checked = check(&[("SUPABASE_URL", app.mock.url()), ("SUPABASE_JWT_SECRET", secret)]);
    assert_eq!(checked.status, Some(0), "{:?} {}", checked.lines, checked.stderr);
    assert_eq!(checked.line("configuration"), "ok");
    let gotrue = checked.line("GoTrue");
    assert!(gotrue.starts_with("ok: no apikey needed; its clock "), "{gotrue}");
    assert!(!gotrue.contains("synchronise both"), "{gotrue}");
    assert!(gotrue.ends_with("; version 2.180"), "{gotrue}");
    assert_eq!(checked.line("key set"), keys);
    assert!(checked.line("store").starts_with("ok: memory"));
    assert_eq!(checked.line("issuer"), format!("ok: {}", app.mock.issuer()));
    assert_eq!(checked.warnings(), ["GATEWAY_STORE"], "the store in memory is a weak setting");
    assert_eq!((checked.lines.len(), checked.stderr.as_str()), (6, ""));
}

#[rstest]
#[case::allowed_algorithm("ES256,RS256", Algorithm::Es256, Some(0), "ok: ES256")]
#[case::excluded_algorithm_beside_hs256(
    "RS256,HS256",
    Algorithm::Es256,
    Some(0),
    "ok: no key of an allowed algorithm; GATEWAY_JWT_ALGORITHMS leaves out ES256"
)]
#[case::excluded_algorithm_alone(
    "RS256",
    Algorithm::Es256,
    Some(1),
    "FAILED: no key of an algorithm in GATEWAY_JWT_ALGORITHMS (ES256 published): no token can be verified"
)]
#[case::no_keys(
    "RS256",
    Algorithm::Hs256,
    Some(1),
    "FAILED: no key of an algorithm in GATEWAY_JWT_ALGORITHMS (none published): no token can be verified"
)]
#[tokio::test]
async fn keys_of_excluded_algorithms_are_not_used(
    #[case] algorithms: &str,
    #[case] signed_with: Algorithm,
    #[case] status: Option<i32>,
    #[case] keys: &str,
) {
    let app = start_app(signed_with, 0).await;
    let checked =
        check(&[("SUPABASE_URL", app.mock.url()), ("GATEWAY_JWT_ALGORITHMS", algorithms)]);
    assert_eq!((checked.status, checked.line("key set")), (status, keys), "{:?}", checked.lines);
    assert!(!checked.warnings().contains(&"SUPABASE_JWT_SECRET") || algorithms.contains("HS256"));
}

#[tokio::test]
async fn with_the_jwt_secret_a_404_for_the_key_set_is_an_empty_key_set() {
    let app = start_app(Algorithm::Hs256, 0).await;
    app.inject_fault(json!({"operation": "jwks", "kind": "status", "status": 404}));
    let url = ("SUPABASE_URL", app.mock.url());
    let checked = check(&[url, ("SUPABASE_JWT_SECRET", TEST_SECRET)]);
    assert_eq!(checked.line("key set"), "ok: no keys: the project signs with HS256");
    assert_eq!(checked.status, Some(0), "{:?}", checked.lines);
    assert_eq!(check(&[url]).status, Some(1), "the URL may be wrong");
}

#[tokio::test]
async fn different_clocks_are_printed_and_do_not_fail() {
    for (ahead, side) in [(600, "s ahead: synchronise both"), (-600, "s behind: synchronise both")]
    {
        let app = start_app(Algorithm::Es256, ahead).await;
        let checked = check(&[("SUPABASE_URL", app.mock.url())]);
        assert!(checked.line("GoTrue").contains(side), "{:?}", checked.lines);
        assert_eq!(checked.status, Some(0));
    }
}

#[tokio::test]
async fn weak_settings_are_printed_and_do_not_fail() {
    let app = start_app(Algorithm::Hs256, 0).await;
    let checked = check(&[("SUPABASE_URL", app.mock.url()), ("GATEWAY_SECRET", "")]);
    assert_eq!(checked.status, Some(0), "{}", checked.stderr);
    assert_eq!(checked.warnings(), ["GATEWAY_SECRET", "GATEWAY_STORE", "SUPABASE_JWT_SECRET"]);
    assert!(checked.lines.iter().any(|line| line.contains("random secret")), "{:?}", checked.lines);
}

#[tokio::test]
async fn an_unreachable_gotrue_fails_and_so_does_an_unreachable_key_set_alone() {
    let app = start_app(Algorithm::Es256, 0).await;
    let url = app.mock.url().to_owned();
    app.inject_fault(json!({"operation": "jwks", "kind": "status", "status": 500}));
    let checked = check(&[("SUPABASE_URL", &url)]);
    assert_eq!(checked.status, Some(1));
    assert!(checked.line("GoTrue").starts_with("ok: "), "{:?}", checked.lines);
    assert_eq!(checked.line("key set"), "FAILED: GoTrue had an internal error");

    app.stop_mock();
    let checked = check(&[("SUPABASE_URL", &url)]);
    assert_eq!(checked.status, Some(1));
    assert_eq!(checked.line("configuration"), "ok");
    for line in ["GoTrue", "key set"].map(|part| checked.line(part)) {
        assert!(line.contains("unreachable") && line.contains("Connection refused"), "{line}");
    }
}

#[test]
fn a_bad_variable_fails_and_is_named() {
    let checked =
        check(&[("SUPABASE_URL", "http://127.0.0.1:1"), ("GATEWAY_CSRF_MODE", "DoNotPrint")]);
    assert_eq!((checked.status, checked.lines.as_slice()), (Some(1), [].as_slice()));
    assert_eq!(checked.stderr, "GATEWAY_CSRF_MODE: must be `signed` or `double-submit`\n");
    let checked = check(&[]);
    assert_eq!((checked.status, checked.stderr.as_str()), (Some(1), "SUPABASE_URL: is required\n"));
}

#[tokio::test]
async fn warnings_cover_the_key_set_and_the_environment() {
    let app = start_app(Algorithm::Es256, 0).await;
    let checked = check(&[
        ("SUPABASE_URL", app.mock.url()),
        ("SUPABASE_JWT_SECRET", TEST_SECRET),
        ("HTTPS_PROXY", "http://user:do-not-print@proxy.invalid"),
    ]);
    assert_eq!(checked.status, Some(0), "{:?}", checked.lines);
    assert_eq!(checked.warnings(), ["GATEWAY_STORE", "HTTPS_PROXY", "SUPABASE_JWT_SECRET"]);
    assert!(checked.lines.iter().any(|line| line.contains("publishes signing keys")));
    assert!(!checked.lines.concat().contains("do-not-print"));
}

/// An issuer of GoTrue that does not follow from `SUPABASE_URL`.
pub(crate) const OTHER_ISSUER: &str = "https://auth.example.com/auth/v1";

#[rstest]
#[case::default_issuers("", "SUPABASE_URL")]
#[case::list_without_it("https://auth.example.org/auth/v1", "GATEWAY_JWT_ISSUER")]
#[tokio::test]
async fn a_warning_names_the_issuer_of_gotrue_and_the_variable_that_does_not_fit(
    #[case] list: &str,
    #[case] variable: &str,
) {
    let setup = Setup::new().start_time(Clock::system().unix_seconds()).issuer(OTHER_ISSUER);
    let app = setup.start().await;
    let checked = check(&[("SUPABASE_URL", app.mock.url()), ("GATEWAY_JWT_ISSUER", list)]);
    assert_eq!(checked.status, Some(0), "{:?}", checked.lines);
    assert_eq!(checked.line("issuer"), format!("ok: {OTHER_ISSUER}"));
    assert_eq!(checked.warnings(), ["GATEWAY_STORE", variable], "{:?}", checked.lines);
    let message = format!("warning: {variable}: GoTrue's issuer is {OTHER_ISSUER}, ");
    assert!(checked.lines.iter().any(|line| line.starts_with(&message)), "{:?}", checked.lines);
    let listed = check(&[("SUPABASE_URL", app.mock.url()), ("GATEWAY_JWT_ISSUER", OTHER_ISSUER)]);
    assert_eq!(listed.warnings(), ["GATEWAY_STORE"], "{:?}", listed.lines);
}
