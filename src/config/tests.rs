//! Tests of rules that hold for every setting, and functions that parse settings without the environment of
//! the test process.

use std::ffi::OsString;

use clap::{Args as _, Command, FromArgMatches as _};
use proptest::prelude::*;

use super::{Args, Config, ConfigErrors};

/// A command that has every flag but reads no environment variable.
fn command() -> Command {
    Args::augment_args(Command::new("gateway")).mut_args(|arg| arg.env(None::<&str>))
}

/// The variable and the flag of each setting.
fn flags() -> Vec<(String, String)> {
    let command = Args::augment_args(Command::new("gateway"));
    let described = command.get_arguments().map(|arg| {
        let variable = arg.get_env().unwrap().to_str().unwrap().to_owned();
        (variable, arg.get_long().unwrap().to_owned())
    });
    described.collect()
}

/// Parses the given variables. `SUPABASE_URL` gets a valid value unless it is among them.
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

/// Parses the given variables. Panics if one has an error.
pub(crate) fn parse(given: &[(&str, &str)]) -> Config {
    parse_with(given).unwrap()
}

/// The errors of the given variables, one line each.
pub(super) fn errors_of(given: &[(&str, &str)]) -> Vec<String> {
    let errors = parse_with(given).err().unwrap_or_default().to_string();
    errors.lines().map(str::to_owned).collect()
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
        let endings = ["Default: ", "Required", "No default"];
        assert!(endings.iter().any(|word| help.contains(word)), "{variable}: {help}");
    }
}

#[test]
fn a_flag_takes_any_value_as_the_next_word() {
    let words = ["gateway", "--supabase-url", "https://abc.supabase.co", "--secret", "--hyphens"];
    let matches = command().try_get_matches_from(words).unwrap();
    let errors = Config::parse(Args::from_arg_matches(&matches).unwrap()).unwrap_err();
    assert_eq!(errors.to_string(), "GATEWAY_SECRET: must be 32 bytes or more");
}

#[test]
fn the_defaults_are_those_of_the_contract() {
    let config = parse(&[]);
    assert_eq!(config.store.max_token_lifetime.as_secs(), 7 * 86_400);
    assert_eq!(config.upstream.timeout.as_secs(), 5);
    assert_eq!(config.server.drain_timeout.as_secs(), 10);
    assert_eq!(config.limits.header_timeout.as_secs(), 10);
    assert_eq!(config.limits.in_flight, 1024);
    assert_eq!(config.limits.connections, 4096);
    assert_eq!(config.limits.header_bytes, 131_072);
    assert_eq!(config.cookies.budget, 3072);
    assert_eq!(config.cookies.paths, ["/"]);
    assert_eq!(config.cookies.secure, super::CookieSecure::Auto);
    assert_eq!(config.csrf.mode, super::CsrfMode::Signed);
    assert_eq!(config.logout.default_scope, crate::outcome::Scope::Local);
    assert_eq!(config.logout.session_not_found, super::SessionNotFound::Success);
    assert_eq!(config.logs.filter, "info");
    assert!(config.csrf.allowed_origins.is_empty() && config.server.trusted_proxies.is_empty());
    assert!(config.logout.clear_site_data.is_none() && !config.cookies.partitioned);
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
        let errors = errors_of(&[(&variable, "")]);
        assert_eq!(errors.is_empty(), none.contains(&variable.as_str()), "{variable}: {errors:?}");
        assert!(errors.iter().all(|error| error.starts_with(&variable)), "{errors:?}");
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

/// Any text, or text that is almost valid for one of the settings.
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
    fn no_value_panics_and_no_error_repeats_it(
        variable in prop::sample::select(flags()),
        value in value(),
    ) {
        if let Err(errors) = parse_with(&[(&variable.0, &value)]) {
            let errors = errors.to_string();
            prop_assert!(errors.contains(&variable.0) || variable.0 == "SUPABASE_URL");
            prop_assert!(value.len() < 8 || !errors.contains(&value), "{errors}");
        }
    }
}
