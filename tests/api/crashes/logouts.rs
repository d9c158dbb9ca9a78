//! Logouts of every kind, and the effects that each kind may have if its gateway is killed.

use std::collections::HashSet;

use gotrue_mock::{Call, Tokens};
use logout_gateway::Clock;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::harness::{
    Browser, Connection, CookieFormat, GatewayProcess, Request, Setup, TestApp, claims_of,
    hs256_token,
};

const LOGOUTS_PER_KIND: usize = 50;
/// The number of seconds after which an access token has certainly expired.
pub(super) const EXPIRED_AFTER: i64 = 3700;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    ByBearer(&'static str),
    ByCookie(&'static str),
    ByExpiredCookie,
    /// The user of the logout is banned: GoTrue refuses the logout, and the session stays.
    OfBannedUser,
    /// The token has an invalid signature, so the gateway must refuse the logout.
    Forged,
    /// The request has a session cookie but no CSRF token, so the gateway must refuse the logout.
    WithoutCsrf,
    /// The logout has an HS256 token with the session's ids, signed with an attacker's secret. Only GoTrue
    /// can verify the token, and the logout must have no effect.
    ForgedHs256,
    /// The logout has the session's expired access token, and a refresh token that GoTrue never issued. The
    /// gateway may queue the logout, but it must have no effect.
    OldToken,
}

impl Kind {
    pub(super) const ALL: [Self; 12] = [
        Self::ByExpiredCookie,
        Self::OldToken,
        Self::ByBearer("local"),
        Self::ByBearer("global"),
        Self::ByBearer("others"),
        Self::ByCookie("local"),
        Self::ByCookie("global"),
        Self::ByCookie("others"),
        Self::OfBannedUser,
        Self::Forged,
        Self::WithoutCsrf,
        Self::ForgedHs256,
    ];

    /// Whether the access token has expired when the test sends the logout.
    fn is_expired(self) -> bool {
        matches!(self, Self::ByExpiredCookie | Self::OldToken)
    }

    fn scope(self) -> &'static str {
        match self {
            Self::ByBearer(scope) | Self::ByCookie(scope) => scope,
            // A logout that must have no effect has the widest scope, so that a wrong effect is noticed.
            Self::Forged
            | Self::WithoutCsrf
            | Self::OfBannedUser
            | Self::ForgedHs256
            | Self::OldToken => "global",
            Self::ByExpiredCookie => "local",
        }
    }

    /// The status with which the gateway must refuse this kind of logout; `None` if the gateway may accept
    /// it.
    fn expected_refusal(self) -> Option<u16> {
        match self {
            Self::Forged => Some(401),
            Self::WithoutCsrf => Some(403),
            _ => None,
        }
    }
}

/// A logout of the session `own` of a user who has another session `other`.
pub(super) struct Logout {
    pub(super) kind: Kind,
    pub(super) own: Tokens,
    pub(super) other: Tokens,
    browser: Browser,
}

/// Starts a test app whose clock is behind the system's by the seconds that `prepare_all` advances it.
pub(super) async fn start_app() -> TestApp {
    Setup::new().start_time(Clock::system().unix_seconds() - EXPIRED_AFTER).start().await
}

/// Prepares [`LOGOUTS_PER_KIND`] logouts of each kind, and returns them in random order.
pub(super) async fn prepare_all(app: &TestApp) -> Vec<Logout> {
    let mut logouts = Vec::new();
    for kind in Kind::ALL {
        for _ in 0..LOGOUTS_PER_KIND {
            logouts.push(Logout::prepare(app, kind).await);
        }
        // `ALL` begins with the kinds that need expired tokens. Their tokens expire here, before those of
        // other kinds are issued.
        if kind == Kind::OldToken {
            app.advance_time(EXPIRED_AFTER);
        }
    }
    fastrand::shuffle(&mut logouts);
    logouts
}

impl Logout {
    async fn prepare(app: &TestApp, kind: Kind) -> Self {
        let own = app.sign_up();
        let other = app.sign_in_again(&own);
        let refresh_token = match kind {
            Kind::OldToken => format!("made-up-{}", Uuid::new_v4()),
            _ => own.refresh_token.clone(),
        };
        let shown = Tokens { refresh_token, ..own.clone() };
        let mut browser = Browser::signed_in_without_csrf(app, &shown, CookieFormat::Base64);
        if matches!(kind, Kind::ByCookie(_)) || kind.is_expired() {
            // The test app's gateway issues the CSRF token. The gateway under test accepts it, because both
            // have the same secret.
            assert_eq!(browser.fetch_csrf().await.status, 200);
        }
        assert!(kind != Kind::OfBannedUser || app.mock.ban_user(own.user_id));
        Self { kind, own, other, browser }
    }

    fn token(&self) -> String {
        if self.kind == Kind::ForgedHs256 {
            let claims = claims_of(&self.own.access_token);
            return hs256_token(&claims, "a-secret-of-the-attacker-0123456789abcdef");
        }
        let forged = if self.kind == Kind::Forged { "x" } else { "" };
        format!("{}{forged}", self.own.access_token)
    }

    fn request(&mut self, gateway: &GatewayProcess) -> Request {
        let target = format!("/api/auth/logout?scope={}", self.kind.scope());
        self.browser.address = gateway.address;
        match self.kind {
            Kind::ByCookie(_) | Kind::ByExpiredCookie | Kind::WithoutCsrf | Kind::OldToken => {
                self.browser.logout_request(&target)
            }
            _ => gateway.request("POST", &target).bearer(&self.token()),
        }
    }

    /// Sends the logout; returns the response's status, or `None` if the connection broke before the
    /// response.
    pub(super) async fn send(&mut self, gateway: &Mutex<GatewayProcess>) -> Option<u16> {
        let request = self.request(&*gateway.lock().await);
        let mut connection = Connection::try_open(&request).await?;
        connection.write(&request.bytes(true)).await;
        connection.reply_if_complete().await.map(|reply| reply.status)
    }

    /// Whether the logout has ended every session that its scope includes.
    pub(super) fn is_done(&self, app: &TestApp) -> bool {
        let alive = [app.is_alive(&self.own), app.is_alive(&self.other)];
        match self.kind.scope() {
            "global" => alive == [false, false],
            "others" => alive == [true, false],
            _ => alive == [false, true],
        }
    }

    /// Asserts that the logout had the effect that its response promised, and no other effect.
    pub(super) fn assert_truthful(
        &self,
        app: &TestApp,
        status: Option<u16>,
        final_state: &FinalState,
    ) {
        let Self { kind, own, .. } = self;
        let untouched = app.is_alive(&self.own) && app.is_alive(&self.other);
        let case = format!("{kind:?} {status:?} {}", own.session_id);
        if let Some(expected) = kind.expected_refusal() {
            assert!(status.is_none_or(|status| status == expected), "{case}");
            assert!(untouched, "{case}: refused, but it had an effect");
            let sent = final_state.calls.iter().any(|call| {
                let bearer = call.header("authorization").and_then(|h| h.strip_prefix("Bearer "));
                let token = bearer.is_some_and(|token| token.starts_with(&own.access_token));
                token || call.body.contains(&own.refresh_token)
            });
            return assert!(!sent, "{case}: the gateway sent the token to GoTrue");
        }
        match (kind, status) {
            (Kind::ForgedHs256, _) => {
                assert!(untouched, "{case}: a forged token had an effect");
                let statuses = [401, 429, 500].map(Some);
                assert!(status.is_none() || statuses.contains(&status), "{case}");
            }
            (Kind::OldToken, _) => {
                assert!(untouched, "{case}: an old token had an effect");
                let statuses = [202, 401, 429, 500].map(Some);
                assert!(status.is_none() || statuses.contains(&status), "{case}");
            }
            (_, None) => assert!(untouched || self.is_done(app), "{case}: only a part was done"),
            (Kind::OfBannedUser, Some(500)) => assert!(untouched, "{case}"),
            (Kind::OfBannedUser, Some(202)) => {
                assert!(untouched, "{case}");
                assert!(
                    final_state.queued.contains(&own.session_id),
                    "{case}: the queue lost the entry"
                );
            }
            (_, Some(200 | 202)) => {
                assert!(self.is_done(app), "{case}: answered as done or queued, but not done");
            }
            _ => {
                assert!(
                    final_state.store_was_down,
                    "{case}: the store was up, so the logout could be queued"
                );
                assert!(untouched || self.is_done(app), "{case}: only a part was done");
            }
        }
    }
}

/// The state of GoTrue and of the queue after all kills and retries.
pub(super) struct FinalState {
    /// The requests that GoTrue has received.
    pub(super) calls: Vec<Call>,
    /// The ids of the sessions whose logouts are still in the queue.
    pub(super) queued: HashSet<Uuid>,
    pub(super) store_was_down: bool,
}
