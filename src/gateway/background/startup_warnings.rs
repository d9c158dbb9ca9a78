//! Weak settings that show only while the gateway runs: those of the store, the version of GoTrue, and
//! those that depend on the project's key set. Each is logged once.

use std::time::Duration;

use axum::http::StatusCode;
use tokio::{
    join,
    time::{Instant, sleep},
};

use crate::{config::Warning, http::state::AppState, session::verifier::Verifier, store};

const PAUSE: Duration = Duration::from_secs(1);
/// Between two questions to a store or to GoTrue that did not answer.
const RETRY_PAUSE: Duration = Duration::from_secs(10);
const DAY: Duration = Duration::from_hours(24);

/// Logs them as soon as the store, GoTrue and the key set answer. Never returns.
pub(super) async fn warn(app: &AppState) {
    join!(
        warn_of_the_store(app),
        warn_of_an_old_gotrue(app),
        warn_of_the_secret(app),
        warn_of_unused_hs256(&app.verifier)
    );
    std::future::pending::<()>().await;
}

async fn warn_of_the_store(app: &AppState) {
    // The store itself logs that it does not answer.
    let startup_warnings = loop {
        match store::weaknesses(&app.config.store.address).await {
            Ok(startup_warnings) => break startup_warnings,
            Err(_) => sleep(RETRY_PAUSE).await,
        }
    };
    for weakness in startup_warnings {
        Warning::store(weakness).log();
    }
}

/// An answer that is not GoTrue's is not logged here: `check` examines it, and every request to GoTrue that
/// fails is logged by itself.
async fn warn_of_an_old_gotrue(app: &AppState) {
    let version = loop {
        let deadline = Instant::now() + app.config.upstream.timeout;
        match app.logout.gotrue.health(true, deadline).await {
            Ok(health) if !is_passing(health.status) => break health.version,
            _ => sleep(RETRY_PAUSE).await,
        }
    };
    if let Some(warning) = Warning::old_gotrue(version) {
        warning.log();
    }
}

fn is_passing(status: u16) -> bool {
    status >= 500 || status == StatusCode::TOO_MANY_REQUESTS
}

/// Without keys the verifier warns, and only once a token comes that needs the secret.
async fn warn_of_the_secret(app: &AppState) {
    let has_keys = loop {
        match app.verifier.has_keys() {
            Some(has_keys) => break has_keys,
            None => sleep(PAUSE).await,
        }
    };
    if has_keys && let Some(warning) = app.config.supabase.secret_warning(has_keys) {
        warning.log();
    }
}

/// A hosted project publishes its first key long before it signs with it: a day without such tokens shows
/// that it does.
async fn warn_of_unused_hs256(verifier: &Verifier) {
    loop {
        sleep(DAY).await;
        if verifier.hs256_is_unused() {
            let weakness = "HS256 is accepted, and no such token came for a day while the project has \
                            keys that sign: any client can send forged HS256 tokens, and an old secret \
                            goes on counting; leave HS256 out";
            return Warning::new("GATEWAY_JWT_ALGORITHMS", weakness).log();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Seek as _},
        sync::Arc,
    };

    use rstest::rstest;
    use tracing::subscriber::set_default;

    use super::*;
    use crate::{config::tests::parse, session::jwks::Jwks};

    const KEYS: &[u8] = br#"{"keys":[{"kty":"EC","crv":"P-256","alg":"ES256","kid":"a",
        "x":"DN8J8Cq4RBlo5PptEYTozoUkRhs1SMObwTEZXG93M00",
        "y":"HUMMYltpCnlBxmnSkIymhFMGmB--I23wjsMUSgKRYnU"}]}"#;
    const NO_KEYS: &[u8] = br#"{"keys":[]}"#;

    #[rstest]
    #[case::keys_that_sign("ES256,HS256", KEYS, true)]
    #[case::hs256_left_out("ES256", KEYS, false)]
    #[case::no_keys("ES256,HS256", NO_KEYS, false)]
    #[case::keys_that_do_not_count("RS256,HS256", KEYS, false)]
    #[tokio::test(start_paused = true)]
    async fn a_day_without_hs256_tokens_is_one_line_where_the_key_set_signs(
        #[case] algorithms: &str,
        #[case] keys: &[u8],
        #[case] warned: bool,
    ) {
        let mut file = tempfile::tempfile().unwrap();
        let lines = tracing_subscriber::fmt().json().flatten_event(true);
        let lines = lines.with_writer(Arc::new(file.try_clone().unwrap())).finish();
        let _logging = set_default(lines);
        let jwks = Arc::new(Jwks::new(PAUSE, Arc::default()));
        let supabase = parse(&[("GATEWAY_JWT_ALGORITHMS", algorithms)]).supabase;
        let verifier = Verifier::new(&supabase, jwks.clone());
        let log = |file: &mut std::fs::File| {
            let mut log = String::new();
            file.rewind().unwrap();
            file.read_to_string(&mut log).unwrap();
            log
        };
        let days = async {
            sleep(Duration::from_hours(23)).await;
            assert_eq!(log(&mut file), "", "the day is not over");
            sleep(3 * DAY).await;
        };
        tokio::select! {
            () = days => {}
            () = jwks.keep_fetching(async || Ok::<_, String>(keys.to_vec())) => {}
            () = async {
                warn_of_unused_hs256(&verifier).await;
                std::future::pending::<()>().await;
            } => {}
        }
        let log = log(&mut file);
        assert_eq!(log.lines().count(), usize::from(warned), "{log}");
        if warned {
            let line: serde_json::Value = serde_json::from_str(&log).unwrap();
            assert_eq!(
                (&line["level"], &line["variable"]),
                (&"WARN".into(), &"GATEWAY_JWT_ALGORITHMS".into())
            );
            assert!(line["message"].as_str().unwrap().starts_with("HS256 is accepted"), "{line}");
        }
    }
}
