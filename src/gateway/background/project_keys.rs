//! Fetches the project's key set, and with it the issuer that GoTrue publishes.
//!
//! The two do not depend on each other: a document that fails or hangs does not keep back the keys, and is fetched again
//! before they are.

use std::time::Duration;

use tokio::{
    join,
    sync::Notify,
    time::{Instant, sleep},
};

use crate::http::state::AppState;

/// The longest time that the keys wait for the issuer.
const ISSUER_WAIT: Duration = Duration::from_secs(1);
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Fetches the keys and the issuer for ever, on schedule and when a token needs newer ones.
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
        // Stored before the keys: a token must not verify and then be refused for its issuer.
        match issuer {
            Ok(issuer) => app.verifier.set_published_issuer(issuer),
            Err(_) => issuer_failed.notify_one(),
        }
        key_set
    };
    join!(app.jwks.keep_fetching(fetch), retry_issuer(app, &issuer_failed));
}

/// Fetches the issuer alone after a fetch failed. Until then the issuer of the last answer counts. Logs one warning for
/// all failures until the next answer.
async fn retry_issuer(app: &AppState, failed: &Notify) {
    loop {
        failed.notified().await;
        let mut pause = FIRST_RETRY;
        let mut is_warned = false;
        loop {
            let deadline = Instant::now() + app.config.upstream.timeout;
            let cause = match app.logout.gotrue.issuer(deadline).await {
                Ok(issuer) => break app.verifier.set_published_issuer(issuer),
                Err(cause) => cause,
            };
            if !std::mem::replace(&mut is_warned, true) && app.verifier.accepts_published_issuer() {
                tracing::warn!(
                    %cause,
                    "the gateway could not ask GoTrue for its issuer (/.well-known/openid-configuration) and tries again: \
                     until GoTrue answers, tokens of an issuer that does not follow from SUPABASE_URL are refused"
                );
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}
