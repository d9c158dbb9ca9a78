//! Weak settings that show only while the gateway runs: those of the store, and those that depend on the
//! project's key set. Each is logged once.

use std::time::Duration;

use tokio::{join, time::sleep};

use crate::{app::App, config::Warning, store};

const PAUSE: Duration = Duration::from_secs(1);
const STORE_PAUSE: Duration = Duration::from_secs(10);
const DAY: Duration = Duration::from_hours(24);

/// Logs them as soon as store and key set answer. Never returns.
pub(super) async fn warn(app: &App) {
    join!(warn_of_the_store(app), warn_of_the_secret(app), warn_of_unused_hs256(app));
    std::future::pending::<()>().await;
}

async fn warn_of_the_store(app: &App) {
    // That it does not answer is logged by the store itself.
    let weaknesses = loop {
        match store::weaknesses(&app.config.store).await {
            Ok(weaknesses) => break weaknesses,
            Err(_) => sleep(STORE_PAUSE).await,
        }
    };
    for weakness in weaknesses {
        Warning::of_the_store(weakness).log();
    }
}

/// Without keys the verifier warns, and only once a token comes that needs the secret.
async fn warn_of_the_secret(app: &App) {
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
async fn warn_of_unused_hs256(app: &App) {
    loop {
        sleep(DAY).await;
        if app.verifier.hs256_is_unused() {
            let weakness = "HS256 is accepted, and no such token came for a day while the project has \
                            keys that sign: anybody can send forged HS256 tokens, and an old secret \
                            goes on counting; leave HS256 out";
            return Warning::new("GATEWAY_JWT_ALGORITHMS", weakness).log();
        }
    }
}
