//! Finds secrets of the gateway and of requests, which no reply and no log line may contain.

use std::{
    io,
    sync::{LazyLock, Mutex, PoisonError},
};

use axum::http::HeaderMap;
use seeds::{
    PREVIOUS_SECRET, SECRET,
    recorded::{JWT_SECRET, jars},
};
use uuid::Uuid;

/// The value of `SUPABASE_ANON_KEY` in every fuzz target.
pub const API_KEY: &str = "the-key-that-opens-the-api-gateway";

/// The shortest word of a request's credentials that counts as a secret: a shorter one may occur in a fixed
/// text by chance.
const MIN_SECRET_BYTES: usize = 32;
const CREDENTIAL_HEADERS: [&str; 3] = ["authorization", "cookie", "x-csrf-token"];

/// The gateway's own secrets and the recorded refresh tokens.
static FIXED_SECRETS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let own = [SECRET, PREVIOUS_SECRET, JWT_SECRET, API_KEY].map(str::to_owned);
    own.into_iter().chain(jars().iter().map(|jar| jar.refresh_token().to_owned())).collect()
});

/// The first secret that `shown` contains: a secret of the gateway, or a long word in the credentials of
/// `headers`. The ids of user and session are no secrets.
#[must_use]
pub fn find_secret<'a>(shown: &str, headers: &'a HeaderMap) -> Option<&'a str> {
    if let Some(secret) = FIXED_SECRETS.iter().find(|secret| shown.contains(secret.as_str())) {
        return Some(secret);
    }
    let values = CREDENTIAL_HEADERS.iter().flat_map(|name| headers.get_all(*name));
    let texts = values.filter_map(|value| value.to_str().ok());
    let pairs = texts.flat_map(|text| text.split([';', ' ']));
    let values = pairs.map(|pair| pair.split_once('=').map_or(pair, |(_, value)| value));
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let mut words = values.flat_map(|value| value.split(move |c| !word(c)));
    words.find(|word| {
        word.len() >= MIN_SECRET_BYTES && shown.contains(word) && Uuid::parse_str(word).is_err()
    })
}

static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// A writer that collects the gateway's log lines in memory.
#[derive(Clone, Copy, Debug)]
pub struct Log;

impl Log {
    /// Starts to collect log lines, at the gateway's default level.
    pub fn start() {
        let lines = tracing_subscriber::fmt()
            .json()
            .with_max_level(tracing_subscriber::filter::LevelFilter::INFO);
        lines.with_writer(|| Log).init();
    }

    /// Returns the log lines since `take_lines` was called before.
    #[must_use]
    pub fn take_lines() -> String {
        let lines = std::mem::take(&mut *LINES.lock().unwrap_or_else(PoisonError::into_inner));
        String::from_utf8(lines).expect("log lines are text")
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.lock().unwrap_or_else(PoisonError::into_inner).extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
