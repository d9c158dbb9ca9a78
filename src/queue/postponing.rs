//! Putting a logout into the queue.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use super::{
    backoff,
    credentials::{CannotOpen, Credentials, Seal},
    entry::Entry,
};
use crate::{
    error::Error,
    gotrue::Refusal,
    logout::Asked,
    session::{Session, verifier::Standing},
    store::{Queue, StoreFault},
};
use aws_lc_rs::error::Unspecified;
use tokio::sync::Notify;

/// More entries are not taken: a long outage shall not fill the disk.
pub const MOST_ENTRIES: usize = 100_000;
/// Nor, with so many waiting, logouts whose token nobody has verified or is old: a flood of made-up
/// ones shall not take the places of genuine ones.
pub const MOST_UNPROVEN: usize = 10_000;

/// Puts logouts into a queue.
#[derive(Debug)]
pub struct Postponing {
    seal: Seal,
    /// Entries wait because GoTrue failed.
    failing: AtomicBool,
    well: Notify,
}

/// Why a logout could not be postponed.
#[derive(Debug, thiserror::Error)]
pub enum CannotPostpone {
    /// There are [`MOST_ENTRIES`], or [`MOST_UNPROVEN`] for one whose token proves little.
    #[error("the queue is full")]
    Full,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// No randomness.
    #[error("the system gives no random numbers")]
    Random(#[from] Unspecified),
}

impl Postponing {
    /// Credentials are sealed by `seal`.
    #[must_use]
    pub fn new(seal: Seal) -> Self {
        Self { seal, failing: AtomicBool::new(false), well: Notify::new() }
    }

    /// GoTrue has answered somebody: who waits for it to be well need not wait longer.
    pub fn gotrue_is_well(&self) {
        if self.failing.load(Ordering::Relaxed) {
            self.well.notify_one();
        }
    }

    /// Waits for [`Postponing::gotrue_is_well`], of which is told only while GoTrue is `failing`.
    pub async fn until_well(&self, failing: bool) {
        self.failing.store(failing, Ordering::Relaxed);
        self.well.notified().await;
    }

    /// The credentials of an entry.
    ///
    /// # Errors
    /// [`CannotOpen`].
    pub fn opened(&self, entry: &Entry) -> Result<Credentials, CannotOpen> {
        self.seal.open(entry)
    }

    /// Puts the logout of `session` into `queue`; once that is done, it survives.
    ///
    /// # Errors
    /// [`CannotPostpone`].
    pub async fn postpone(
        &self,
        queue: &dyn Queue,
        session: &Session,
        asked: Asked<'_>,
        refusal: &Refusal,
        now: SystemTime,
    ) -> Result<(), CannotPostpone> {
        let verified = session.standing == Standing::Verified;
        // Whoever found an old token can make up any number of refresh tokens beside it.
        let proven = verified && !session.expired;
        let most = if proven { MOST_ENTRIES } else { MOST_UNPROVEN };
        if queue.waiting().await? >= most {
            return Err(CannotPostpone::Full);
        }
        let (claims, caller) = (&session.claims, asked.caller);
        let credentials = Credentials {
            access_token: session.access_token.clone(),
            refresh_token: session.refresh_token.clone(),
            exp: claims.exp,
            iat: claims.iat,
            forwarded_for: caller.forwarded_for.to_str().unwrap_or_default().to_owned(),
            user_agent: caller.user_agent.as_ref().and_then(|a| a.to_str().ok()).map(str::to_owned),
        };
        let now = milliseconds(now);
        let mut entry = Entry {
            id: self.seal.id(&credentials, asked.scope, verified),
            request_id: caller.request_id().to_owned(),
            route: asked.route.to_owned(),
            scope: asked.scope.as_str().to_owned(),
            user_id: claims.sub,
            session_id: claims.session_id,
            verified,
            tried: asked.tried_before,
            queued_at: now,
            due: now + backoff::after(0, refusal, now),
            attempts: 0,
            reason: Error::from(refusal.clone()).reason().to_owned(),
            key_id: String::new(),
            sealed: String::new(),
        };
        self.seal.seal(&credentials, &mut entry)?;
        Ok(queue.put(&entry).await?)
    }
}

/// Milliseconds since the Unix epoch.
#[must_use]
pub fn milliseconds(time: SystemTime) -> i64 {
    let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use async_trait::async_trait;
    use axum::http::HeaderValue;
    use uuid::Uuid;

    use super::*;
    use crate::{
        config::{Scope, Secrets},
        gotrue::OnBehalfOf,
        session::{Carrier, Proof, token::Claims},
        telemetry::traces::TraceContext,
    };

    /// A queue in which so many wait already.
    struct Crowd(usize, Mutex<Vec<Entry>>);

    #[async_trait]
    impl Queue for Crowd {
        async fn put(&self, entry: &Entry) -> Result<(), StoreFault> {
            self.1.lock().unwrap().push(entry.clone());
            Ok(())
        }

        async fn lease(&self, _: i64, _: i64, _: usize) -> Result<Vec<Entry>, StoreFault> {
            unreachable!("nobody works here")
        }

        async fn put_off(&self, _: &Entry, _: i64) -> Result<bool, StoreFault> {
            unreachable!("nobody works here")
        }

        async fn remove(&self, _: Uuid) -> Result<bool, StoreFault> {
            unreachable!("nobody works here")
        }

        async fn entries(&self, _: usize) -> Result<Vec<Entry>, StoreFault> {
            unreachable!("nobody looks")
        }

        async fn waiting(&self) -> Result<usize, StoreFault> {
            Ok(self.0)
        }

        async fn oldest(&self) -> Result<Option<i64>, StoreFault> {
            unreachable!("nobody looks")
        }
    }

    #[tokio::test]
    async fn made_up_tokens_take_a_tenth_of_the_places_and_nobody_takes_more_than_all() {
        let current = Some("0123456789abcdef0123456789abcdef".into());
        let seal = Seal::new(&Secrets { current, previous: None }).unwrap().unwrap();
        let postponing = Postponing::new(seal);
        let unknown = HeaderValue::from_static("unknown");
        let caller = OnBehalfOf {
            request_id: unknown.clone(),
            forwarded_for: unknown,
            user_agent: None,
            trace: TraceContext::default(),
        };
        let (user, session) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let claims = Claims {
            sub: user,
            session_id: session,
            exp: 9,
            iat: None,
            nbf: None,
            role: None,
            aal: None,
        };
        let claims = Arc::new(claims);
        for (standing, expired, places) in [
            (Standing::Verified, false, MOST_ENTRIES),
            (Standing::Verified, true, MOST_UNPROVEN),
            (Standing::Unjudged, false, MOST_UNPROVEN),
        ] {
            let session = Session {
                claims: claims.clone(),
                proof: Proof::Proven,
                standing,
                expired,
                access_token: "header.payload.signature".into(),
                refresh_token: None,
                carrier: Carrier::Bearer,
            };
            for (waiting, fits) in [(places - 1, true), (places, false)] {
                let queue = Crowd(waiting, Mutex::default());
                let (scope, caller) = (Scope::Local, &caller);
                let asked = Asked { scope, route: "/logout", caller, tried_before: false };
                let refusal = &Refusal::Timeout;
                let put = postponing.postpone(&queue, &session, asked, refusal, UNIX_EPOCH).await;
                assert_eq!(put.is_ok(), fits, "{standing:?} {expired} {waiting}: {put:?}");
                assert_eq!(queue.1.lock().unwrap().len(), usize::from(fits));
            }
        }
    }
}
