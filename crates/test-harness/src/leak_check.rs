//! Writes every log line and every secret of a test run to two files, `log` and `secrets`, so that
//! `tests/secrets` can search the log for the secrets. This module does nothing unless `LEAK_CHECK_DIR` names
//! a directory.

use std::{
    env,
    fs::{File, OpenOptions},
    io::Write as _,
    path::PathBuf,
    sync::{Mutex, Once, OnceLock},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use gotrue_mock::{Call, Tokens};
use serde_json::Value;
use tracing::Level;
use tracing_subscriber::fmt::format::FmtSpan;

use super::claims_of;

/// The environment variable that names the directory of the files `log` and `secrets`.
const DIRECTORY_VARIABLE: &str = "LEAK_CHECK_DIR";
/// The shortest secret that is recorded, in bytes. Shorter values are words such as `x` that tests use in
/// place of a secret, and that logs contain anyway.
const MIN_SECRET_BYTES: usize = 12;

fn directory() -> Option<&'static PathBuf> {
    static PATH: OnceLock<Option<PathBuf>> = OnceLock::new();
    PATH.get_or_init(|| env::var_os(DIRECTORY_VARIABLE).map(PathBuf::from)).as_ref()
}

/// Opens a file in the directory of the check, to which all processes of the test run append.
fn open(name: &str) -> File {
    OpenOptions::new().append(true).create(true).open(directory().unwrap().join(name)).unwrap()
}

/// The default of `RUST_LOG` for a [`GatewayProcess`](crate::GatewayProcess): everything during a leak check.
pub fn log_filter() -> &'static str {
    if directory().is_some() { "trace" } else { "info" }
}

/// Records all log lines of gateways in this process from now on, including the starts and ends of spans.
pub fn capture_process_log() {
    static INSTALLED: Once = Once::new();
    if directory().is_none() {
        return;
    }
    INSTALLED.call_once(|| {
        let lines = tracing_subscriber::fmt().json().with_span_list(false);
        let lines = lines.with_span_events(FmtSpan::NEW | FmtSpan::CLOSE);
        let lines = lines.with_max_level(Level::TRACE).with_writer(Mutex::new(open("log")));
        // `try_init` fails if a test has installed its own subscriber already. Keep that subscriber.
        let _ = lines.try_init();
    });
}

/// Appends the log, or the exported traces, of another process to the file `log`.
pub fn record_log(text: impl AsRef<[u8]>) {
    if directory().is_some() {
        open("log").write_all(&[text.as_ref(), b"\n"].concat()).unwrap();
    }
}

/// Appends a secret of a test to the file `secrets`, so that the search finds it if a log contains it.
pub fn record_secret(secret: &[u8]) {
    static SECRETS: OnceLock<Mutex<File>> = OnceLock::new();
    // Some forged tokens have claims that are not encoded. The ids in those claims are no secrets: the
    // gateway logs them on purpose.
    let is_cleartext = secret.windows(3).any(|octets| octets == b"\":\"");
    if directory().is_none() || secret.len() < MIN_SECRET_BYTES || is_cleartext {
        return;
    }
    let line = STANDARD.encode(secret) + "\n";
    let secrets = SECRETS.get_or_init(|| Mutex::new(open("secrets")));
    secrets.lock().unwrap().write_all(line.as_bytes()).unwrap();
}

/// Records the tokens of a session and the e-mail address of its user as secrets.
pub fn record_session(tokens: &Tokens) {
    record_secret(tokens.access_token.as_bytes());
    record_secret(tokens.refresh_token.as_bytes());
    if let Some(email) = claims_of(&tokens.access_token)["email"].as_str() {
        record_secret(email.as_bytes());
    }
}

/// Records the secrets that this header of a request or a response contains.
pub fn record_header(name: &str, value: &[u8]) {
    match name.to_ascii_lowercase().as_str() {
        "authorization" => value.split(|octet| *octet == b' ').for_each(record_secret),
        "x-csrf-token" | "apikey" => record_secret(value),
        "cookie" => value.split(|octet| *octet == b';').for_each(record_cookie_value),
        "set-cookie" => value.split(|octet| *octet == b';').take(1).for_each(record_cookie_value),
        _ => {}
    }
}

/// Records the value of the cookie in `pair`, which has the form `name=value`.
fn record_cookie_value(pair: &[u8]) {
    if let Some(at) = pair.iter().position(|octet| *octet == b'=') {
        record_secret(&pair[at + 1..]);
    }
}

/// Records the secrets in the calls that the GoTrue mock received.
pub fn record_gotrue_calls(calls: &[Call]) {
    for call in calls {
        for name in ["authorization", "apikey"] {
            if let Some(value) = call.header(name) {
                record_header(name, value.as_bytes());
            }
        }
        let body: Value = serde_json::from_str(&call.body).unwrap_or_default();
        for member in ["refresh_token", "email", "password"] {
            record_secret(body[member].as_str().unwrap_or_default().as_bytes());
        }
    }
}

/// Records the value of a setting if the setting's name says that the value is, or contains, a secret.
pub fn record_setting(name: &str, value: &str) {
    let name = name.to_ascii_lowercase();
    if ["secret", "key", "password", "otlp-headers", "otlp_headers"]
        .iter()
        .any(|word| name.contains(word))
    {
        value
            .split(',')
            .filter_map(|one| one.rsplit('=').next())
            .for_each(|one| record_secret(one.as_bytes()));
    }
    if let Ok(url) = url::Url::parse(value) {
        record_secret(url.password().unwrap_or_default().as_bytes());
    }
}
