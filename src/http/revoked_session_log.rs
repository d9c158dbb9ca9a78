//! Limits the log lines about refusals as `revoked` to one a second for each user, and so for each session.
//!
//! A token that is used after the logout of its session is the surest sign of theft, so it must appear in the
//! log. The thief decides how often tokens are sent, and one account has any number of sessions, so the lines
//! need a limit for each user.

use std::time::{Duration, SystemTime};

use quick_cache::sync::Cache;
use uuid::Uuid;

use crate::{
    http::context::RequestContext,
    session::{Proof, Session},
    telemetry::log_buffers::{AUDIT_OF_REFUSALS, AUDIT_OF_SESSIONS},
};

const INTERVAL: Duration = Duration::from_secs(1);
/// Users whose last line is remembered, some 400 KB. One that was evicted is logged again at once.
const USERS: usize = 8192;

/// The names of the events choose the buffer: `telemetry::log_buffers`.
macro_rules! revoked_line {
    ($name:expr, $call:expr, $session:expr) => {
        tracing::warn!(
            name: $name,
            request_id = $call.request_id(),
            user_id = %$session.claims.sub,
            session_id = %$session.claims.session_id,
            client = %$call.client.ip,
            proven = $session.proof == Proof::Proven,
            "verify refused a token whose session was logged out: it may be stolen"
        )
    };
}

/// When the last line about each user was written. Shared by all threads.
#[derive(Debug)]
pub struct RevokedSessionLog {
    written: Cache<Uuid, SystemTime>,
}

impl RevokedSessionLog {
    /// No line has been written yet.
    #[must_use]
    pub fn new() -> Self {
        Self { written: Cache::new(USERS) }
    }

    /// Logs that a token of `session` was used after its logout, if a line is due at `now`. Any client can
    /// write the ids of an unproven token: all of those share one line a second, and the buffer of refusals.
    pub(super) fn report(&self, call: &RequestContext, session: &Session, now: SystemTime) {
        match session.proof {
            Proof::Proven | Proof::Stale if self.is_due(session.claims.sub, now) => {
                revoked_line!(AUDIT_OF_SESSIONS, call, session);
            }
            Proof::Unproven if self.is_due(Uuid::nil(), now) => {
                revoked_line!(AUDIT_OF_REFUSALS, call, session);
            }
            _ => {}
        }
    }

    /// Whether a line about `user` is due at `now`; then it counts as written. A clock that was set
    /// back makes a line due.
    fn is_due(&self, user: Uuid, now: SystemTime) -> bool {
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
        http::client_addr::ClientAddr,
        session::{Carrier, token::Claims, verifier::SignatureStatus},
        telemetry::traces::TraceContext,
    };

    /// The names of the events, which choose their buffers.
    #[derive(Clone, Default)]
    struct Names(Arc<Mutex<Vec<&'static str>>>);

    impl<S: Subscriber> Layer<S> for Names {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            self.0.lock().unwrap().push(event.metadata().name());
        }
    }

    fn session(proof: Proof) -> Session {
        let (sub, session_id) = (Uuid::new_v4(), Uuid::new_v4());
        let claims =
            Claims { sub, session_id, exp: 0, iat: None, nbf: None, role: None, aal: None };
        Session {
            claims: Arc::new(claims),
            proof,
            signature: SignatureStatus::Verified,
            expired: false,
            access_token: "a token".into(),
            refresh_token: None,
            carrier: Carrier::Bearer,
        }
    }

    #[test]
    fn a_flood_of_unproven_tokens_takes_no_room_from_the_lines_of_proven_and_stale_sessions() {
        let client = Ipv4Addr::LOCALHOST.into();
        let call = RequestContext {
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
                    lines.report(&call, &session(Proof::Unproven), now);
                }
                lines.report(&call, &session(Proof::Proven), now);
                lines.report(&call, &session(Proof::Stale), now);
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
        assert!(lines.is_due(one, begun) && lines.is_due(other, begun));
        assert!(!lines.is_due(one, begun + Duration::from_millis(999)));
        assert!(lines.is_due(one, begun + INTERVAL));
        assert!(!lines.is_due(one, begun + INTERVAL), "the second begins with the line");
        assert!(lines.is_due(one, begun), "the clock was set back");
    }

    #[test]
    fn many_users_take_no_more_memory() {
        let lines = RevokedSessionLog::new();
        for _ in 0..3 * USERS {
            assert!(lines.is_due(Uuid::new_v4(), UNIX_EPOCH));
        }
        assert!(lines.written.len() <= USERS, "{}", lines.written.len());
    }
}
