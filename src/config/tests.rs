//! Tests of rules that hold for every setting, and functions that parse settings without the environment of
//! the test process.

use std::fs;

use clap::{Args as _, Command, FromArgMatches as _};
use proptest::prelude::*;
use rstest::rstest;
use secrecy::{ExposeSecret as _, SecretString};
use tempfile::NamedTempFile;

use super::{Args, Config, ConfigErrors, settings::SETTINGS, store::StoreAddress};

/// A command that has every flag but reads no environment variable.
fn command() -> Command {
    Args::augment_args(Command::new("gateway")).mut_args(|arg| arg.env(None::<&str>))
}

/// The variable of each setting.
fn variables() -> Vec<String> {
    SETTINGS.iter().map(|setting| setting.variable.to_owned()).collect()
}

/// Parses the given variables. `SUPABASE_URL` gets a valid value unless it is among them.
pub(super) fn parse_with(given: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let project = ("SUPABASE_URL", "https://abc.supabase.co");
    let project = (!given.iter().any(|(variable, _)| *variable == project.0)).then_some(project);
    Config::parse(Args::of_settings(project.iter().chain(given).copied()).unwrap())
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
    let words = ["gateway", "--supabase-url", "https://abc.supabase.co", "--bind", "--hyphens"];
    let matches = command().try_get_matches_from(words).unwrap();
    let errors = Config::parse(Args::from_arg_matches(&matches).unwrap()).unwrap_err();
    let error = errors.to_string();
    assert!(
        error.starts_with("GATEWAY_BIND: must be `ip:port`, an IPv6 address in brackets"),
        "{error}"
    );
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
    assert_eq!(config.logs.filter.to_string(), "info");
    assert!(config.csrf.allowed_origins.is_empty() && config.server.trusted_proxies.is_empty());
    assert!(config.logout.clear_site_data.is_none() && !config.cookies.partitioned);
}

#[test]
fn an_empty_value_counts_as_not_set_except_for_gateway_secret() {
    for variable in variables() {
        let errors = errors_of(&[(&variable, "")]);
        let expected = match variable.as_str() {
            "SUPABASE_URL" => vec!["SUPABASE_URL: is required"],
            "GATEWAY_SECRET" => vec!["GATEWAY_SECRET: must be 32 bytes or more"],
            _ => vec![],
        };
        assert_eq!(errors, expected, "{variable}");
    }
}

/// Docker Compose passes an unset variable as an empty one: `GATEWAY_SECRET_FILE: ${SECRET_FILE:-}`.
#[test]
fn an_empty_name_of_a_file_counts_as_not_set() {
    for setting in SETTINGS {
        let empty = (setting.file_variable, "");
        assert_eq!(errors_of(&[empty]), [""; 0], "{}", setting.file_variable);
    }
    let (secret, file) = ("0123456789abcdef0123456789abcdef", NamedTempFile::new().unwrap());
    fs::write(file.path(), secret).unwrap();
    let path = file.path().to_str().unwrap();
    for variable in ["GATEWAY_SECRET", "SUPABASE_JWT_SECRET"] {
        let beside_value = [(variable, secret), (&format!("{variable}_FILE"), "")];
        assert_eq!(errors_of(&beside_value), [""; 0], "{variable}");
    }
    let config = parse(&[("SUPABASE_JWT_SECRET", ""), ("SUPABASE_JWT_SECRET_FILE", path)]);
    assert_eq!(config.supabase.jwt_secret.unwrap().expose_secret(), secret);
}

#[test]
fn a_secret_has_no_flag_and_may_come_from_a_file() {
    let mut command = command();
    let flags: Vec<_> = command.get_arguments().filter_map(|arg| arg.get_long()).collect();
    assert!(!flags.iter().any(|flag| flag.contains("secret")), "{flags:?}");
    let help = command.render_help().to_string();
    let (secret, file) = ("0123456789abcdef0123456789abcdef", NamedTempFile::new().unwrap());
    let path = file.path().to_str().unwrap();
    for variable in ["GATEWAY_SECRET", "GATEWAY_SECRET_PREVIOUS", "SUPABASE_JWT_SECRET"] {
        let of_file = format!("{variable}_FILE");
        assert!(help.contains(variable) && help.contains(&of_file), "{variable}");
        // The previous secret is valid only beside the current one.
        let is_previous = variable == "GATEWAY_SECRET_PREVIOUS";
        let current = is_previous.then_some(("GATEWAY_SECRET", secret));
        let errors_of = |given: &[(&str, &str)]| {
            errors_of(&current.into_iter().chain(given.iter().copied()).collect::<Vec<_>>())
        };
        for (content, rule) in [
            (format!("{secret}\n"), None),
            (format!("{secret}\r\n"), None),
            (secret.to_owned(), None),
            (String::new(), Some("names an empty file")),
            ("\n".to_owned(), Some("names an empty file")),
            ("short\n".to_owned(), Some("must be 32 bytes or more")),
        ] {
            fs::write(path, &content).unwrap();
            let expected: Vec<_> =
                rule.map(|rule| format!("{of_file}: {rule}")).into_iter().collect();
            assert_eq!(errors_of(&[(&of_file, path)]), expected, "{content:?}");
        }
        let both = errors_of(&[(&of_file, path), (variable, secret)]);
        assert_eq!(both, [format!("{of_file}: must not be set beside {variable}")]);
        let missing = errors_of(&[(&of_file, "/no/such/file")]);
        assert!(missing[0].starts_with(&format!("{of_file}: cannot be read: ")), "{missing:?}");
    }
}

/// Writes `content` into a file and returns what `value` reads of the configuration of which `of_file` names it.
fn read_of_file<V>(of_file: &str, content: &str, value: impl FnOnce(Config) -> V) -> V {
    let file = NamedTempFile::new().unwrap();
    fs::write(file.path(), content).unwrap();
    let current = ("GATEWAY_SECRET", "0123456789abcdef0123456789abcdef");
    let others = [current].into_iter().filter(|_| of_file != "GATEWAY_SECRET_FILE");
    let given: Vec<_> = others.chain([(of_file, file.path().to_str().unwrap())]).collect();
    value(parse(&given))
}

#[rstest]
#[case::no_line_break("", "")]
#[case::line_break("\n", "")]
#[case::line_break_of_windows("\r\n", "")]
#[case::two_line_breaks("\n\n", "\n")]
#[case::two_line_breaks_of_windows("\r\n\r\n", "\r\n")]
#[case::space_before_the_line_break(" \n", " ")]
#[case::line_break_before_a_space("\n ", "\n ")]
#[case::carriage_return_alone("\r", "")]
fn only_one_line_break_at_the_end_of_a_file_is_not_part_of_the_value(
    #[case] end: &str,
    #[case] kept: &str,
) {
    let secret = " 0123456789abcdef0123456789abcdef";
    let (content, expected) = (format!("{secret}{end}"), format!("{secret}{kept}"));
    let exposed = |secret: Option<SecretString>| secret.unwrap().expose_secret().to_owned();
    let read = |variable, value: fn(Config) -> Option<SecretString>| {
        read_of_file(variable, &content, |config| exposed(value(config)))
    };
    assert_eq!(read("GATEWAY_SECRET_FILE", |config| config.secrets.current), expected);
    assert_eq!(read("GATEWAY_SECRET_PREVIOUS_FILE", |config| config.secrets.previous), expected);
    assert_eq!(read("SUPABASE_JWT_SECRET_FILE", |config| config.supabase.jwt_secret), expected);
}

#[test]
fn a_setting_whose_value_may_have_a_password_is_read_from_its_file() {
    for end in ["", "\n", "\r\n"] {
        let key = |of_file, value: fn(Config) -> Option<SecretString>| {
            let key = read_of_file(of_file, &format!("sb_key{end}"), value).unwrap();
            key.expose_secret().to_owned()
        };
        assert_eq!(key("SUPABASE_ANON_KEY_FILE", |config| config.supabase.anon_key), "sb_key");
        let publishable = |config: Config| config.supabase.publishable_key;
        assert_eq!(key("SUPABASE_PUBLISHABLE_KEY_FILE", publishable), "sb_key");
        let content = format!("redis://:password@redis.example.com{end}");
        let store = read_of_file("GATEWAY_STORE_FILE", &content, |config| config.store.address);
        let StoreAddress::Redis(redis) = store else { panic!("{store:?}") };
        assert_eq!(redis.url.expose_secret(), "redis://:password@redis.example.com");
        let content = format!("http://user:password@proxy.example.com:3128{end}");
        let proxy = |config: Config| config.upstream.egress_proxy.unwrap();
        let proxy = read_of_file("GATEWAY_EGRESS_PROXY_FILE", &content, proxy);
        assert_eq!(proxy.url(), "http://user:password@proxy.example.com:3128/");
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
        variable in prop::sample::select(variables()),
        value in value(),
    ) {
        if let Err(errors) = parse_with(&[(&variable, &value)]) {
            let errors = errors.to_string();
            prop_assert!(errors.contains(&variable) || variable == "SUPABASE_URL");
            prop_assert!(value.len() < 8 || !errors.contains(&value), "{errors}");
        }
    }
}
