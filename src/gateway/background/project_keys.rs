//! Fetches the project's key set, and at the same times the issuer that GoTrue publishes.
//!
//! If the fetch of the issuer fails or hangs, the gateway still uses the new key set. It then fetches the issuer
//! again soon, and does not wait for the next fetch of the key set.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use tokio::{join, select, sync::Notify, time::Instant};

use crate::{gotrue::FetchError, http::state::AppState};

/// How long a fetch of the issuer may delay the use of a new key set.
const ISSUER_WAIT: Duration = Duration::from_secs(1);
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Fetches the key set and the issuer on schedule, and when a token may need newer ones. Never returns.
pub(super) async fn keep_fetching(app: &AppState) {
    let (issuer_failed, issuer_fetched) = (Notify::new(), Notify::new());
    let fetch = || async {
        let (gotrue, timeout, now) =
            (&app.logout.gotrue, app.config.upstream.timeout, Instant::now());
        let missing_is_empty = app.verifier.reads_404_as_an_empty_key_set();
        let (issuer, key_set) = join!(
            gotrue.issuer(now + timeout.min(ISSUER_WAIT)),
            gotrue.jwks(missing_is_empty, now + timeout)
        );
        // Store the issuer before the keys, or a token that verifies with the new keys could be refused for its
        // issuer.
        match issuer {
            Ok(issuer) => {
                app.verifier.set_published_issuer(issuer);
                issuer_fetched.notify_waiters();
            }
            Err(_) => issuer_failed.notify_one(),
        }
        key_set
    };
    join!(app.jwks.keep_fetching(fetch), retry_issuer(app, &issuer_failed, &issuer_fetched));
}

/// Fetches the issuer alone after a fetch has failed, until GoTrue answers this or another fetch. Meanwhile the gateway
/// accepts the issuer of GoTrue's last answer. Logs one warning for each time that a fetch has failed.
async fn retry_issuer(app: &AppState, failed: &Notify, fetched: &Notify) {
    let pauses = ExponentialBuilder::default()
        .with_min_delay(FIRST_RETRY)
        .with_max_delay(LONGEST_PAUSE)
        .without_max_times();
    let fetch = || app.logout.gotrue.issuer(Instant::now() + app.config.upstream.timeout);
    loop {
        failed.notified().await;
        let mut has_warned = false;
        let warn_once = |cause: &FetchError, _| {
            if !std::mem::replace(&mut has_warned, true) && app.verifier.accepts_published_issuer()
            {
                tracing::warn!(
                    %cause,
                    "the gateway could not fetch GoTrue's issuer (/.well-known/openid-configuration) and tries again: \
                     until GoTrue answers, the gateway accepts the issuers <SUPABASE_URL> and <SUPABASE_URL>/auth/v1 \
                     and that of GoTrue's last answer, and refuses tokens with any other; check GOTRUE_URL"
                );
            }
        };
        select! {
            // The tries never run out, so there is no error.
            Ok(issuer) = fetch.retry(pauses).notify(warn_once) => {
                app.verifier.set_published_issuer(issuer);
            }
            () = fetched.notified() => {}
        }
    }
}
