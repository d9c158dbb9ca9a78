//! Parsing without the test process's own environment, and what holds for every variable.

use std::ffi::OsString;

use clap::{Args as _, Command, FromArgMatches as _};
use proptest::prelude::*;

use super::{Args, Config, ConfigErrors};

/// The command that has every flag, deaf to the environment.
fn command() -> Command {
    Args::augment_args(Command::new("gateway")).mut_args(|arg| arg.env(None::<&str>))
}

/// Each variable with its flag.
fn flags() -> Vec<(String, String)> {
    let command = Args::augment_args(Command::new("gateway"));
    let described = command.get_arguments().map(|arg| {
        let variable = arg.get_env().unwrap().to_str().unwrap().to_owned();
        (variable, arg.get_long().unwrap().to_owned())
    });
    described.collect()
}

/// The configuration of these variables; `SUPABASE_URL` has a good value unless it is among them.
pub(super) fn parse_with(given: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let flags = flags();
    let mut words = vec![OsString::from("gateway")];
    let project = ("SUPABASE_URL", "https://abc.supabase.co");
    let project = (!given.iter().any(|(variable, _)| *variable == project.0)).then_some(project);
    for (variable, value) in project.iter().chain(given) {
        let (_, flag) = flags.iter().find(|(known, _)| known == variable).unwrap();
        words.push(format!("--{flag}={value}").into());
    }
    let matches = command().try_get_matches_from(words).unwrap();
    Config::parse(Args::from_arg_matches(&matches).unwrap())
}

/// The same, of variables that have no fault.
pub(crate) fn parse(given: &[(&str, &str)]) -> Config {
    parse_with(given).unwrap()
}

/// The same, of variables that may have faults: their lines.
pub(super) fn faults_of(given: &[(&str, &str)]) -> Vec<String> {
    let faults = parse_with(given).err().unwrap_or_default().to_string();
    faults.lines().map(str::to_owned).collect()
}

#[test]
fn a_flag_is_named_after_its_variable_and_hides_its_value() {
    let command = Args::augment_args(Command::new("gateway"));
    for arg in command.get_arguments() {
        let variable = arg.get_env().unwrap().to_str().unwrap();
        let flag = match variable {
            "RUST_LOG" => "log-filter".to_owned(),
            "OTEL_EXPORTER_OTLP_ENDPOINT" => "otlp-endpoint".to_owned(),
            _ => variable.trim_start_matches("GATEWAY_").to_lowercase().replace('_', "-"),
        };
        assert_eq!(arg.get_long(), Some(flag.as_str()));
        assert!(arg.is_hide_env_values_set(), "{variable}");
        let help = arg.get_help().unwrap().to_string();
        let told = ["Default: ", "Required", "No default"];
        assert!(told.iter().any(|word| help.contains(word)), "{variable}: {help}");
    }
}

#[test]
fn a_flag_takes_any_value_as_the_next_word() {
    let words = ["gateway", "--supabase-url", "https://abc.supabase.co", "--secret", "--hyphens"];
    let matches = command().try_get_matches_from(words).unwrap();
    let faults = Config::parse(Args::from_arg_matches(&matches).unwrap()).unwrap_err();
    assert_eq!(faults.to_string(), "GATEWAY_SECRET: must be 32 bytes or more");
}

#[test]
fn the_defaults_are_those_of_the_contract() {
    let config = parse(&[]);
    assert_eq!(config.max_token_lifetime.as_secs(), 7 * 86_400);
    assert_eq!(config.upstream_timeout.as_secs(), 5);
    assert_eq!(config.drain_timeout.as_secs(), 10);
    assert_eq!(config.limits.header_timeout.as_secs(), 10);
    assert_eq!(config.limits.in_flight, 1024);
    assert_eq!(config.limits.connections, 4096);
    assert_eq!(config.limits.header_bytes, 131_072);
    assert_eq!(config.cookies.budget, 3072);
    assert_eq!(config.cookies.paths, ["/"]);
    assert_eq!(config.cookies.secure, super::CookieSecure::Auto);
    assert_eq!(config.csrf_mode, super::CsrfMode::Signed);
    assert_eq!(config.default_scope, crate::outcome::Scope::Local);
    assert_eq!(config.session_not_found, super::SessionNotFound::Success);
    assert_eq!(config.log_filter, "info");
    assert!(config.allowed_origins.is_empty() && config.trusted_proxies.is_empty());
    assert!(config.clear_site_data.is_none() && !config.cookies.partitioned);
}

#[test]
fn an_empty_value_is_none_only_where_that_is_the_default() {
    let none = [
        "SUPABASE_PUBLISHABLE_KEY",
        "SUPABASE_ANON_KEY",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "GATEWAY_COOKIE_DOMAINS",
        "GATEWAY_EXTRA_COOKIES",
        "GATEWAY_ALLOWED_ORIGINS",
        "GATEWAY_TRUSTED_PROXIES",
        "GATEWAY_ADMIN_HOSTS",
        "GATEWAY_CLEAR_SITE_DATA",
        "GATEWAY_REDIRECT_URLS",
    ];
    for (variable, _) in flags() {
        let faults = faults_of(&[(&variable, "")]);
        assert_eq!(faults.is_empty(), none.contains(&variable.as_str()), "{variable}: {faults:?}");
        assert!(faults.iter().all(|fault| fault.starts_with(&variable)), "{faults:?}");
    }
}

#[test]
fn secrets_are_not_debugged() {
    let secret = "0123456789abcdef0123456789abcdef";
    let config = parse(&[
        ("GATEWAY_SECRET", secret),
        ("GATEWAY_SECRET_PREVIOUS", secret),
        ("SUPABASE_JWT_SECRET", secret),
        ("SUPABASE_ANON_KEY", secret),
    ]);
    assert!(!format!("{config:?}").contains(secret));
}

/// Anything at all, and what looks almost right to some rule.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "\\PC{8,40}",
        "[ -~]{8,40}",
        "https?://\\PC{1,30}",
        "[\u{a0}\u{3000} ]?[a-zé]{0,8}[\\[{=,]\\PC{0,8}",
        "[0-9]{1,25}(ns|s|d|years|)",
        "[0-9a-f:.]{3,40}/[0-9]{1,3}",
    ]
}

proptest! {
    #[test]
    fn no_value_panics_and_no_fault_repeats_it(
        variable in prop::sample::select(flags()),
        value in value(),
    ) {
        if let Err(faults) = parse_with(&[(&variable.0, &value)]) {
            let faults = faults.to_string();
            prop_assert!(faults.contains(&variable.0) || variable.0 == "SUPABASE_URL");
            prop_assert!(value.len() < 8 || !faults.contains(&value), "{faults}");
        }
    }
}
