//! An invalid configuration ends the real binary before it binds an address. The exit status must be 2, and
//! stderr must name every invalid variable, but no value.

#![expect(clippy::unwrap_used, reason = "a helper that panics makes its test fail, as it should")]

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    fs,
    net::TcpListener,
    os::unix::ffi::OsStringExt as _,
    process::{Command, Output},
};

/// A text in every invalid value: if an output contains it, the output reveals a value.
const MARKER: &str = "DoNotPrint";

/// Each variable with values that `serve` must refuse.
const INVALID_VALUES: &[(&str, &[&str])] = &[
    ("SUPABASE_URL", &["DoNotPrint.supabase.co", "https://user:DoNotPrint@a.co", "https://"]),
    ("SUPABASE_PUBLISHABLE_KEY", &["DoNot Print DoNotPrint", "DoNotPrint\n", "DoNotPrintä"]),
    ("SUPABASE_ANON_KEY", &["DoNot Print DoNotPrint", "DoNotPrint\n", "DoNotPrintä"]),
    ("GOTRUE_URL", &["ftp://DoNotPrint", "http://a.co?DoNotPrint", "http://a.co#DoNotPrint"]),
    ("SUPABASE_JWT_SECRET", &["DoNotPrint-and-31-bytes-of-it.."]),
    ("GATEWAY_JWT_ISSUER", &["https://DoNotPrint,", ","]),
    ("GATEWAY_JWT_ALGORITHMS", &["DoNotPrint", "ES256,none", "es256", "HS512"]),
    ("GATEWAY_JWT_AUDIENCE", &["DoNotPrint,,b"]),
    ("GATEWAY_BIND", &["DoNotPrint:80", "127.0.0.1", "::1:80x", "127.0.0.1:65536", "unix:a"]),
    ("PORT", &["DoNotPrint", "65536", "-1"]),
    ("GATEWAY_ADMIN_BIND", &["DoNotPrint:80", "9090", "on", "127.0.0.1:8080", "unix:DoNotPrint"]),
    ("GATEWAY_SOCKET_MODE", &["DoNotPrint", "0888", "01777", "-1"]),
    (
        "GATEWAY_ADMIN_HOSTS",
        &["https://DoNotPrint", "DoNotPrint:9090", "*.DoNotPrint", ".DoNotPrint", "a.co,,b.co"],
    ),
    ("GATEWAY_SECRET", &["DoNotPrint-and-31-bytes-of-it..", ""]),
    (
        "GATEWAY_SECRET_PREVIOUS",
        &["DoNotPrint-and-31-bytes-of-it..", "DoNotPrint-long-enough-but-alone-here"],
    ),
    (
        "GATEWAY_ALLOWED_ORIGINS",
        &[
            "https://DoNotPrint.com",
            "https://a.co/",
            "*",
            "null",
            "a,,b",
            "file://",
            "capacitor://*",
        ],
    ),
    ("GATEWAY_CSRF_MODE", &["DoNotPrint", "Signed"]),
    ("GATEWAY_COOKIE_NAME", &["DoNotPrint=", "DoNot,Print;DoNotPrint", "sb-csrf-token"]),
    (
        "GATEWAY_COOKIE_DOMAINS",
        &[
            "DoNotPrint.com; Path=/",
            "a..b",
            "a.co,,b.co",
            "-",
            "-DoNotPrint.example.com",
            "a-.example.com",
            "example.com,example.com-",
        ],
    ),
    ("GATEWAY_COOKIE_PATHS", &["DoNotPrint", "/DoNotPrint;", "/,,/a"]),
    ("GATEWAY_REFRESH_COOKIE_NAME", &["DoNotPrint=", "sb-csrf-token"]),
    ("GATEWAY_COOKIE_SECURE", &["DoNotPrint", "yes"]),
    ("GATEWAY_COOKIE_SAMESITE", &["DoNotPrint", "strict", "None"]),
    ("GATEWAY_COOKIE_PARTITIONED", &["DoNotPrint", "1"]),
    ("GATEWAY_EXTRA_COOKIES", &["DoNotPrint=1", "a,,b"]),
    ("GATEWAY_SET_COOKIE_BUDGET", &["DoNotPrint", "255", "-1", "3k"]),
    ("GATEWAY_DEFAULT_SCOPE", &["DoNotPrint", "Local"]),
    ("GATEWAY_SESSION_NOT_FOUND", &["DoNotPrint", "401"]),
    ("GATEWAY_CLEAR_SITE_DATA", &["DoNotPrint", "cookies", "cache,*", "cache,,storage"]),
    (
        "GATEWAY_REDIRECT_URLS",
        &["DoNotPrint", "/bye", "https://*.example.com/*", "https://u:DoNotPrint@a.example/"],
    ),
    ("GATEWAY_REDIRECT_DEFAULT", &["DoNotPrint", "//DoNotPrint", "https://u@a.example/"]),
    (
        "GATEWAY_STORE",
        &["redis://:DoNotPrint@redis/x", "rediss://DoNotPrint?x=y", "DoNotPrint", "file:"],
    ),
    ("GATEWAY_QUEUE_MAX_BYTES", &["DoNotPrint", "0", "1023KiB", "65GiB", "1MB", "-1MiB"]),
    ("GATEWAY_MAX_TOKEN_LIFETIME", &["DoNotPrint", "0s", "367d", "7"]),
    (
        "GATEWAY_EGRESS_PROXY",
        &["DoNotPrint:3128", "socks5://DoNotPrint", "http://u:DoNotPrint@p.example/path"],
    ),
    ("GATEWAY_HSTS", &["DoNotPrint", "1y", "-1", "4294967296"]),
    ("GATEWAY_UPSTREAM_TIMEOUT", &["DoNotPrint", "0s", "2h", "-1s"]),
    ("GATEWAY_DRAIN_TIMEOUT", &["DoNotPrint", "61m", "10"]),
    ("GATEWAY_MAX_IN_FLIGHT", &["DoNotPrint", "0", "1000001"]),
    ("GATEWAY_MAX_CONNECTIONS", &["DoNotPrint", "0", "1000001"]),
    ("GATEWAY_MAX_HEADER_BYTES", &["DoNotPrint", "0", "8191", "16777217"]),
    ("GATEWAY_HEADER_TIMEOUT", &["DoNotPrint", "0s", "2h"]),
    ("GATEWAY_THREADS", &["DoNotPrint", "0", "1025"]),
    ("GATEWAY_TRUSTED_PROXIES", &["DoNotPrint", "10.0.0.0/33", "10.0.0/8", "10.0.0.1,,::1"]),
    ("GATEWAY_LOG_FORMAT", &["DoNotPrint", "JSON"]),
    ("RUST_LOG", &["hyper=DoNotPrint", "[DoNotPrint", "a{DoNotPrint=(}"]),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", &["DoNotPrint:4317", "grpc://DoNotPrint", "http://"]),
];

/// Runs `serve` with only the variables of `environment`, and with a project URL if it has none. The listen
/// address is in use, so `serve` ends even if the configuration is valid, but with another exit status.
fn serve<V: AsRef<OsStr>>(environment: &[(&str, V)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_logout-gateway"));
    command.arg("serve").env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command.env("SUPABASE_URL", "https://abc.supabase.co");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    if !environment.iter().any(|(variable, _)| variable.contains("BIND") || *variable == "PORT") {
        command.env("GATEWAY_BIND", taken.local_addr().unwrap().to_string());
    }
    let environment = environment.iter().map(|(variable, value)| (variable, value.as_ref()));
    command.envs(environment).output().unwrap()
}

/// The lines of stderr; asserts that `serve` ended with status 2 and revealed no value.
fn errors(run: &Output) -> Vec<String> {
    let stderr = String::from_utf8(run.stderr.clone()).unwrap();
    assert_eq!(run.status.code(), Some(2), "{stderr}");
    assert!(run.stdout.is_empty(), "errors go to stderr alone");
    assert!(!stderr.contains(MARKER), "{stderr}");
    stderr.lines().map(str::to_owned).collect()
}

/// The names of all environment variables of the configuration, as the help of `serve` lists them.
fn variables() -> BTreeSet<String> {
    let help =
        Command::new(env!("CARGO_BIN_EXE_logout-gateway")).args(["serve", "--help"]).output();
    let help = String::from_utf8(help.unwrap().stdout).unwrap();
    let of_flags = help.split("[env:").skip(1).filter_map(|rest| rest.trim().split(']').next());
    let of_secrets = help.lines().filter_map(|line| line.trim().split_once(", or ")?.0.into());
    of_flags.chain(of_secrets).filter(|name| !name.contains(' ')).map(str::to_owned).collect()
}

#[test]
fn each_bad_value_names_its_variable_and_is_not_printed() {
    for (variable, values) in INVALID_VALUES {
        for value in *values {
            let errors = errors(&serve(&[(variable, value)]));
            assert_eq!(errors.len(), 1, "{variable} {value:?}: {errors:?}");
            assert!(errors[0].starts_with(&format!("{variable}: ")), "{value:?}: {errors:?}");
        }
    }
}

#[test]
fn every_variable_is_tested_with_invalid_values() {
    let tested: BTreeSet<_> =
        INVALID_VALUES.iter().map(|(variable, _)| (*variable).to_owned()).collect();
    assert_eq!(tested, variables());
}

#[test]
fn bytes_that_are_not_utf8_are_an_error_of_their_variable() {
    for (variable, _) in INVALID_VALUES {
        let value = OsString::from_vec([MARKER.as_bytes(), b"\xff\xfe"].concat());
        assert_eq!(
            errors(&serve(&[(variable, value)])),
            [format!("{variable}: must be valid UTF-8")]
        );
    }
}

#[test]
fn the_errors_of_all_variables_are_printed_in_one_run() {
    let environment: Vec<_> =
        INVALID_VALUES.iter().map(|(variable, bad)| (*variable, bad[0])).collect();
    let errors = errors(&serve(&environment));
    assert_eq!(errors.len(), INVALID_VALUES.len(), "{errors:#?}");
    for (variable, _) in INVALID_VALUES {
        let named = errors.iter().any(|error| error.starts_with(&format!("{variable}: ")));
        assert!(named, "{variable}: {errors:#?}");
    }
}

#[test]
fn a_flag_is_checked_like_its_variable() {
    for value in ["-DoNotPrint", "--DoNotPrint", "DoNotPrint"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_logout-gateway"));
        command.env_clear().args(["serve", "--csrf-mode", value]);
        let lines = errors(&command.output().unwrap());
        let rule = "GATEWAY_CSRF_MODE: must be `signed` or `double-submit`";
        assert_eq!(lines, ["SUPABASE_URL: is required", rule]);
    }
}

#[test]
fn an_empty_variable_counts_as_not_set_and_an_empty_secret_is_an_error() {
    let empty: Vec<_> = variables().into_iter().filter(|name| name != "SUPABASE_URL").collect();
    let environment: Vec<_> = empty.iter().map(|name| (name.as_str(), "")).collect();
    assert_eq!(errors(&serve(&environment)), ["GATEWAY_SECRET: must be 32 bytes or more"]);
}

#[test]
fn a_secret_comes_from_a_file_and_has_no_flag() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "DoNotPrint-and-31-bytes-of-it..\n").unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let path = file.path().to_str().unwrap();
    for variable in ["GATEWAY_SECRET", "GATEWAY_SECRET_PREVIOUS", "SUPABASE_JWT_SECRET"] {
        let of_file = format!("{variable}_FILE");
        let too_short = format!("{of_file}: must be 32 bytes or more");
        assert_eq!(errors(&serve(&[(of_file.as_str(), path)])), [too_short]);
        let flag = variable.trim_start_matches("GATEWAY_").to_lowercase().replace('_', "-");
        let mut command = Command::new(env!("CARGO_BIN_EXE_logout-gateway"));
        // Only the flag can be the error. If `serve` accepted it, the address in use would end `serve`.
        command.env_clear().env("SUPABASE_URL", "https://abc.supabase.co");
        command.env("GATEWAY_BIND", taken.local_addr().unwrap().to_string());
        let run = command.args(["serve", &format!("--{flag}={MARKER}")]).output().unwrap();
        let lines = errors(&run);
        let refusal = format!("error: unexpected argument '--{flag}' found");
        assert_eq!(lines.first(), Some(&refusal), "{lines:?}");
    }
}

#[test]
fn a_password_is_accepted_in_a_variable_and_refused_in_a_flag() {
    let url = format!("redis://:{MARKER}@127.0.0.1:1");
    let proxy = format!("http://user:{MARKER}@127.0.0.1:1");
    let token = format!("redis://{MARKER}@127.0.0.1:1");
    let commands: [&[&str]; 4] = [
        &["serve", "--store", &url],
        &["check", "--egress-proxy", &proxy],
        &["queue", "list", "--store", &url],
        &["serve", "--store", &token],
    ];
    for arguments in commands {
        let mut command = Command::new(env!("CARGO_BIN_EXE_logout-gateway"));
        command.args(arguments).env_clear().env("SUPABASE_URL", "http://127.0.0.1:1");
        let run = command.output().unwrap();
        let error = String::from_utf8(run.stderr).unwrap();
        assert_eq!(run.status.code(), Some(2), "{arguments:?}");
        assert!(error.contains("must not have a user or a password in a flag"), "{error}");
        assert!(!error.contains(MARKER), "{error}");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_logout-gateway"));
    let run = command.args(["queue", "list"]).env_clear().env("GATEWAY_STORE", &url).output();
    assert_eq!(
        run.unwrap().status.code(),
        Some(1),
        "the address is accepted, but nothing listens there"
    );
}

#[test]
fn a_flag_takes_precedence_over_the_file_of_its_variable() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_logout-gateway"));
    command.args(["check", "--store", "memory"]).env_clear();
    command.envs([("SUPABASE_URL", "http://127.0.0.1:1"), ("GATEWAY_STORE_FILE", "/no/such/file")]);
    let run = command.output().unwrap();
    let output = String::from_utf8(run.stdout).unwrap();
    assert!(
        output.contains("configuration: ok") && output.contains("store: ok: memory"),
        "{output}"
    );
}

#[test]
fn an_unreadable_file_is_the_only_error_of_its_setting() {
    let run = serve(&[
        ("GATEWAY_SECRET_FILE", "/no/such/file"),
        ("GATEWAY_SECRET_PREVIOUS", "DoNotPrint-and-more-than-32-bytes-of-it"),
        ("GATEWAY_STORE", "file:/tmp/not-opened.redb"),
    ]);
    let errors = errors(&run);
    assert!(errors.iter().all(|error| error.starts_with("GATEWAY_SECRET_FILE: ")), "{errors:?}");
    assert_eq!(errors.len(), 1, "{errors:?}");
}

#[test]
fn no_address_is_bound_before_the_configuration_is_valid() {
    // If `serve` bound its address first, it would report that the port is taken.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let bind = taken.local_addr().unwrap().to_string();
    let run = serve(&[
        ("GATEWAY_BIND", bind.as_str()),
        ("GATEWAY_ADMIN_BIND", "off"),
        ("GATEWAY_CSRF_MODE", MARKER),
    ]);
    assert_eq!(errors(&run), ["GATEWAY_CSRF_MODE: must be `signed` or `double-submit`"]);
}

#[test]
fn help_names_every_variable_and_prints_no_value() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_logout-gateway"));
    command.args(["serve", "--help"]).env_clear();
    command.envs(variables().iter().map(|variable| (variable, MARKER)));
    let run = command.output().unwrap();
    let help = String::from_utf8(run.stdout).unwrap();
    assert!(run.status.success());
    assert!(!help.contains(MARKER), "{help}");
    let words: BTreeSet<_> = help.split([' ', '[', ']', ',', '\n']).collect();
    for variable in variables() {
        assert!(words.contains(variable.as_str()), "{variable}");
    }
}
