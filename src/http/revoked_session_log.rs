//! Logs the use of access tokens of revoked sessions, at most one line a second for each user.
//!
//! A token that is used after the logout of its session may be stolen, so the log must show its use. A thief
//! can send the token at any rate, and one account can have any number of sessions, so the limit is for each
//! user.

use std::time::{Duration, SystemTime};

use quick_cache::sync::Cache;
use uuid::Uuid;

use crate::{
    http::context::RequestContext,
    session::{Proof, Session},
    telemetry::log_buffers::{AUDIT_OF_REFUSALS, AUDIT_OF_SESSIONS},
};

const INTERVAL: Duration = Duration::from_secs(1);
/// The number of users whose last line is remembered, in some 400 KB. If a user was evicted, that user's next
/// line is written at once.
const USERS: usize = 8192;

/// A macro, because the name of an event must be a constant. The name chooses the buffer of the line
/// (`telemetry::log_buffers`).
macro_rules! revoked_line {
    ($name:expr, $context:expr, $session:expr) => {
        tracing::warn!(
            name: $name,
            request_id = $context.request_id(),
            user_id = %$session.claims.sub,
            session_id = %$session.claims.session_id,
            client = %$context.client.ip,
            proven = $session.proof == Proof::Proven,
            "verify refused a token whose session was logged out: it may be stolen"
        )
    };
}

/// The time of the last line about each user. Shared by all threads.
#[derive(Debug)]
pub(crate) struct RevokedSessionLog {
    written: Cache<Uuid, SystemTime>,
}

impl RevokedSessionLog {
    pub(crate) fn new() -> Self {
        Self { written: Cache::new(USERS) }
    }

    /// Logs that a token of `session` was used after its logout, unless the user's last line is less than a
    /// second old at `now`. An attacker may have chosen the ids of an unproven token, so the lines about all
    /// unproven tokens share one line a second and the buffer of refusals.
    pub(super) fn report(&self, context: &RequestContext, session: &Session, now: SystemTime) {
        match session.proof {
            Proof::Proven | Proof::Stale if self.reserve_line(session.claims.sub, now) => {
                revoked_line!(AUDIT_OF_SESSIONS, context, session);
            }
            Proof::Unproven if self.reserve_line(Uuid::nil(), now) => {
                revoked_line!(AUDIT_OF_REFUSALS, context, session);
            }
            Proof::Proven | Proof::Stale | Proof::Unproven => {}
        }
    }

    /// Reserves the line of this second for `user`; false if that line is already written. After the clock
    /// was set back, a line may be written at once.
    fn reserve_line(&self, user: Uuid, now: SystemTime) -> bool {
        let recently = self.written.get(&user).is_some_and(|written| {
            now.duration_since(written).is_ok_and(|elapsed| elapsed < INTERVAL)
        });
        if !recently {
            self.written.insert(user, now);
        }
        !recently
    }
}

impl Default for RevokedSessionLog {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::Ipv4Addr,
        sync::{Arc, Mutex},
        time::UNIX_EPOCH,
    };

    use axum::http::HeaderValue;
    use tracing::{Event, Subscriber, subscriber::with_default};
    use tracing_subscriber::{
        Layer,
        layer::{Context, SubscriberExt as _},
        registry,
    };

    use super::*;
    use crate::{
        http::client_addr::{ClientAddr, ClientIp},
        session::{Carrier, token::Claims, verifier::SignatureStatus},
        telemetry::traces::TraceContext,
    };

    /// Records the names of the events, which choose their buffers.
    #[derive(Clone, Default)]
    struct Names(Arc<Mutex<Vec<&'static str>>>);

    impl<S: Subscriber> Layer<S> for Names {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            self.0.lock().unwrap().push(event.metadata().name());
        }
    }

    fn session(proof: Proof) -> Session {
        let (sub, session_id) = (Uuid::new_v4(), Uuid::new_v4());
        let claims = Claims {
            sub,
            session_id,
            exp: 0,
            iat: None,
            nbf: None,
            role: None,
            aal: None,
            is_anonymous: false,
            client_id: None,
        };
        Session {
            claims: Arc::new(claims),
            proof,
            signature: SignatureStatus::Verified,
            expired: false,
            access_token: Arc::new("a token".into()),
            refresh_tokens: Vec::new(),
            carrier: Carrier::Bearer,
        }
    }

    #[test]
    fn a_flood_of_unproven_tokens_takes_no_room_from_the_lines_of_proven_and_stale_sessions() {
        let client = ClientIp(Some(Ipv4Addr::LOCALHOST.into()));
        let context = RequestContext {
            request_id: HeaderValue::from_static("a-request"),
            client: ClientAddr { ip: client, is_https: false, own_origin: None },
            trace: TraceContext::default(),
            has_valid_host: true,
        };
        let (lines, names) = (RevokedSessionLog::new(), Names::default());
        with_default(registry().with(names.clone()), || {
            for second in 0..100 {
                let now = UNIX_EPOCH + INTERVAL * second;
                for _ in 0..100 {
                    lines.report(&context, &session(Proof::Unproven), now);
                }
                lines.report(&context, &session(Proof::Proven), now);
                lines.report(&context, &session(Proof::Stale), now);
            }
        });
        let names = names.0.lock().unwrap();
        let count = |name| names.iter().filter(|written| **written == name).count();
        assert_eq!((count(AUDIT_OF_SESSIONS), count(AUDIT_OF_REFUSALS)), (200, 100));
        assert_eq!(names.len(), 300);
    }

    #[test]
    fn each_user_has_a_line_a_second() {
        let (lines, begun) = (RevokedSessionLog::new(), UNIX_EPOCH + Duration::from_hours(1));
        let (one, other) = (Uuid::new_v4(), Uuid::new_v4());
        assert!(lines.reserve_line(one, begun) && lines.reserve_line(other, begun));
        assert!(!lines.reserve_line(one, begun + Duration::from_millis(999)));
        assert!(lines.reserve_line(one, begun + INTERVAL));
        assert!(
            !lines.reserve_line(one, begun + INTERVAL),
            "the next second begins with the last line"
        );
        assert!(lines.reserve_line(one, begun), "the clock was set back");
    }

    #[test]
    fn many_users_take_no_more_memory() {
        let lines = RevokedSessionLog::new();
        for _ in 0..3 * USERS {
            assert!(lines.reserve_line(Uuid::new_v4(), UNIX_EPOCH));
        }
        assert!(lines.written.len() <= USERS, "{}", lines.written.len());
    }
}
