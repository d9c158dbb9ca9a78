//! What a request holds that no reply and no log line may show.

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

/// `SUPABASE_ANON_KEY`.
pub const API_KEY: &str = "the-key-that-opens-the-api-gateway";

/// Shorter words may stand in a fixed text by chance.
const SHORTEST: usize = 32;
const CARRIERS: [&str; 3] = ["authorization", "cookie", "x-csrf-token"];

/// Secrets of the gateway's own, and recorded refresh tokens.
static ALWAYS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let own = [SECRET, PREVIOUS_SECRET, JWT_SECRET, API_KEY].map(str::to_owned);
    own.into_iter().chain(jars().iter().map(|jar| jar.refresh_token().to_owned())).collect()
});

/// A secret of the gateway, or a long word out of a request's credentials, that stands in `shown`.
/// User and session may be named.
#[must_use]
pub fn shown_in<'a>(shown: &str, headers: &'a HeaderMap) -> Option<&'a str> {
    if let Some(secret) = ALWAYS.iter().find(|secret| shown.contains(secret.as_str())) {
        return Some(secret);
    }
    let values = CARRIERS.iter().flat_map(|name| headers.get_all(*name));
    let texts = values.filter_map(|value| value.to_str().ok());
    let pairs = texts.flat_map(|text| text.split([';', ' ']));
    let values = pairs.map(|pair| pair.split_once('=').map_or(pair, |(_, value)| value));
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let mut words = values.flat_map(|value| value.split(move |c| !word(c)));
    words.find(|word| {
        word.len() >= SHORTEST && shown.contains(word) && Uuid::parse_str(word).is_err()
    })
}

static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Collects log lines.
#[derive(Clone, Copy, Debug)]
pub struct Log;

impl Log {
    /// From now on, as the gateway logs if nobody says otherwise.
    pub fn start() {
        let lines = tracing_subscriber::fmt()
            .json()
            .with_max_level(tracing_subscriber::filter::LevelFilter::INFO);
        lines.with_writer(|| Log).init();
    }

    /// What was logged since.
    #[must_use]
    pub fn taken() -> String {
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
