//! Warnings about the configuration that can be checked only with the store, GoTrue or the project's key set.
//! Each is logged once.

use std::time::Duration;

use axum::http::StatusCode;
use tokio::{
    join,
    time::{Instant, sleep},
};

use crate::{
    config::Warning,
    http::state::AppState,
    session::{token::issuers::PublishedIssuer, verifier::Verifier},
    store,
};

const KEY_SET_POLL: Duration = Duration::from_secs(1);
/// The pause before the next attempt if the store or GoTrue did not answer.
const RETRY_PAUSE: Duration = Duration::from_secs(10);
const DAY: Duration = Duration::from_hours(24);

/// Logs each warning as soon as the store, GoTrue or the key set that it depends on is available. Never
/// returns.
pub(super) async fn warn(app: &AppState) {
    join!(
        warn_about_store(app),
        warn_about_old_gotrue(app),
        warn_about_issuer(app),
        warn_about_secret(app),
        warn_about_unused_hs256(&app.verifier)
    );
    std::future::pending::<()>().await;
}

async fn warn_about_store(app: &AppState) {
    // Do not log an error here: the store itself logs that it does not answer.
    let messages = loop {
        match store::weaknesses(&app.config.store.address).await {
            Ok(messages) => break messages,
            Err(_) => sleep(RETRY_PAUSE).await,
        }
    };
    for message in messages {
        Warning::store(message).log();
    }
}

/// Warns if GoTrue's version is too old. Logs nothing if another server than GoTrue answers: the command
/// `check` reports that, and every failed request to GoTrue is logged.
async fn warn_about_old_gotrue(app: &AppState) {
    let version = loop {
        let deadline = Instant::now() + app.config.upstream.timeout;
        match app.logout.gotrue.health(true, deadline).await {
            Ok(health) if !is_temporary(health.status) => break health.version,
            _ => sleep(RETRY_PAUSE).await,
        }
    };
    if let Some(warning) = Warning::old_gotrue(version) {
        warning.log();
    }
}

/// Warns once if GoTrue's issuer does not match the configuration. The task that fetches the key set also fetches
/// the issuer, so this task only waits for it.
async fn warn_about_issuer(app: &AppState) {
    loop {
        let issuer = app.verifier.published_issuer();
        match (issuer.warning(&app.config.supabase), &*issuer) {
            (Some(warning), _) => return warning.log(),
            (None, PublishedIssuer::Named(_)) => return,
            // GoTrue may answer later, and a newer release of GoTrue may publish an issuer.
            (None, PublishedIssuer::Unknown | PublishedIssuer::Absent) => sleep(KEY_SET_POLL).await,
        }
    }
}

fn is_temporary(status: u16) -> bool {
    status >= 500 || status == StatusCode::TOO_MANY_REQUESTS
}

/// Warns if `SUPABASE_JWT_SECRET` is set although the project publishes signing keys. If the project has no
/// keys and the secret is missing, the verifier logs a warning when the first HS256 token arrives.
async fn warn_about_secret(app: &AppState) {
    let has_keys = loop {
        match app.verifier.has_keys() {
            Some(has_keys) => break has_keys,
            None => sleep(KEY_SET_POLL).await,
        }
    };
    if has_keys && let Some(warning) = app.config.supabase.secret_warning(has_keys) {
        warning.log();
    }
}

/// Warns if HS256 is accepted although no HS256 token arrived for a day. The published key set alone does not
/// show it, because a hosted project publishes its first key long before it signs with that key.
async fn warn_about_unused_hs256(verifier: &Verifier) {
    loop {
        sleep(DAY).await;
        if verifier.hs256_is_unused() {
            let message = "HS256 is accepted, but for a day no such token arrived, and the project has signing \
                           keys: any client can send forged HS256 tokens, and tokens that are signed with an old \
                           secret stay valid; leave HS256 out";
            return Warning::new("GATEWAY_JWT_ALGORITHMS", message).log();
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
    async fn a_day_without_hs256_tokens_is_logged_once_if_the_key_set_has_signing_keys(
        #[case] algorithms: &str,
        #[case] keys: &[u8],
        #[case] is_warned: bool,
    ) {
        let mut file = tempfile::tempfile().unwrap();
        let lines = tracing_subscriber::fmt().json().flatten_event(true);
        let lines = lines.with_writer(Arc::new(file.try_clone().unwrap())).finish();
        let _logging = set_default(lines);
        let jwks = Arc::new(Jwks::new(KEY_SET_POLL, Arc::default()));
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
            assert_eq!(log(&mut file), "", "a day has not passed yet");
            sleep(3 * DAY).await;
        };
        tokio::select! {
            () = days => {}
            () = jwks.keep_fetching(async || Ok::<_, String>(keys.to_vec())) => {}
            () = async {
                warn_about_unused_hs256(&verifier).await;
                std::future::pending::<()>().await;
            } => {}
        }
        let log = log(&mut file);
        assert_eq!(log.lines().count(), usize::from(is_warned), "{log}");
        if is_warned {
            let line: serde_json::Value = serde_json::from_str(&log).unwrap();
            assert_eq!(
                (&line["level"], &line["variable"]),
                (&"WARN".into(), &"GATEWAY_JWT_ALGORITHMS".into())
            );
            assert!(line["message"].as_str().unwrap().starts_with("HS256 is accepted"), "{line}");
        }
    }
}
