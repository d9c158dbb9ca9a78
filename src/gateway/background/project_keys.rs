//! Fetches the project's key set, and at the same times the issuer that GoTrue publishes.
//!
//! If the fetch of the issuer fails or hangs, the gateway still uses the new key set. It then fetches the issuer
//! again soon, and does not wait for the next fetch of the key set.

use std::time::Duration;

use tokio::{
    join,
    sync::Notify,
    time::{Instant, sleep},
};

use crate::http::state::AppState;

/// How long a fetch of the issuer may delay the use of a new key set.
const ISSUER_WAIT: Duration = Duration::from_secs(1);
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Fetches the key set and the issuer on schedule, and when a token may need newer ones. Never returns.
pub(super) async fn keep_fetching(app: &AppState) {
    let issuer_failed = Notify::new();
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
            Ok(issuer) => app.verifier.set_published_issuer(issuer),
            Err(_) => issuer_failed.notify_one(),
        }
        key_set
    };
    join!(app.jwks.keep_fetching(fetch), retry_issuer(app, &issuer_failed));
}

/// Fetches the issuer alone after a fetch has failed, until GoTrue answers. Meanwhile the gateway accepts the
/// issuer of GoTrue's last answer. Logs only one warning until GoTrue answers.
async fn retry_issuer(app: &AppState, failed: &Notify) {
    loop {
        failed.notified().await;
        let mut pause = FIRST_RETRY;
        let mut has_warned = false;
        loop {
            let deadline = Instant::now() + app.config.upstream.timeout;
            let cause = match app.logout.gotrue.issuer(deadline).await {
                Ok(issuer) => break app.verifier.set_published_issuer(issuer),
                Err(cause) => cause,
            };
            if !std::mem::replace(&mut has_warned, true) && app.verifier.accepts_published_issuer()
            {
                tracing::warn!(
                    %cause,
                    "the gateway could not fetch GoTrue's issuer (/.well-known/openid-configuration) and tries again: \
                     until GoTrue answers, tokens of an issuer that does not follow from SUPABASE_URL are refused"
                );
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}
