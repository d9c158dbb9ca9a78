//! Keeps the log of a test run and every secret that it used, so that a test can search the one for the
//! other, as `tests/secrets` does. Only if `LEAK_CHECK_DIR` says where to put them.

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

/// The variable that says where.
const FOLDER_VARIABLE: &str = "LEAK_CHECK_DIR";
/// Shorter ones are words of the tests.
const SHORTEST: usize = 12;

fn folder() -> Option<&'static PathBuf> {
    static PATH: OnceLock<Option<PathBuf>> = OnceLock::new();
    PATH.get_or_init(|| env::var_os(FOLDER_VARIABLE).map(PathBuf::from)).as_ref()
}

/// A file that all processes of the run add to, a line with each call.
fn open(name: &str) -> File {
    OpenOptions::new().append(true).create(true).open(folder().unwrap().join(name)).unwrap()
}

/// What a binary is to log, unless its test says otherwise.
pub fn log_filter() -> &'static str {
    if folder().is_some() { "trace" } else { "info" }
}

/// From now on what gateways of this process log is kept, spans and all.
pub fn capture_process_log() {
    static WATCHED: Once = Once::new();
    if folder().is_none() {
        return;
    }
    WATCHED.call_once(|| {
        let lines = tracing_subscriber::fmt().json().with_span_list(false);
        let lines = lines.with_span_events(FmtSpan::NEW | FmtSpan::CLOSE);
        let lines = lines.with_max_level(Level::TRACE).with_writer(Mutex::new(open("log")));
        // A process that logs already does so as its test wants it.
        let _ = lines.try_init();
    });
}

/// What a binary logged, or exported.
pub fn record_log(text: impl AsRef<[u8]>) {
    if folder().is_some() {
        open("log").write_all(&[text.as_ref(), b"\n"].concat()).unwrap();
    }
}

/// A secret that is about to be used.
pub fn record_secret(secret: &[u8]) {
    static SECRETS: OnceLock<Mutex<File>> = OnceLock::new();
    // Claims in clear, as some forged tokens have them: the ids in them are told on purpose.
    let clear = secret.windows(3).any(|octets| octets == b"\":\"");
    if folder().is_none() || secret.len() < SHORTEST || clear {
        return;
    }
    let line = STANDARD.encode(secret) + "\n";
    let secrets = SECRETS.get_or_init(|| Mutex::new(open("secrets")));
    secrets.lock().unwrap().write_all(line.as_bytes()).unwrap();
}

/// A session, and whose it is.
pub fn record_session(tokens: &Tokens) {
    record_secret(tokens.access_token.as_bytes());
    record_secret(tokens.refresh_token.as_bytes());
    if let Some(email) = claims_of(&tokens.access_token)["email"].as_str() {
        record_secret(email.as_bytes());
    }
}

/// A header that a client sends, or is sent.
pub fn record_header(name: &str, value: &[u8]) {
    match name.to_ascii_lowercase().as_str() {
        "authorization" => value.split(|octet| *octet == b' ').for_each(record_secret),
        "x-csrf-token" | "apikey" => record_secret(value),
        "cookie" => value.split(|octet| *octet == b';').for_each(record_cookie_value),
        "set-cookie" => value.split(|octet| *octet == b';').take(1).for_each(record_cookie_value),
        _ => {}
    }
}

/// A cookie's value.
fn record_cookie_value(pair: &[u8]) {
    if let Some(at) = pair.iter().position(|octet| *octet == b'=') {
        record_secret(&pair[at + 1..]);
    }
}

/// What GoTrue was given.
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

/// A setting, if it is one that nobody may see.
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
