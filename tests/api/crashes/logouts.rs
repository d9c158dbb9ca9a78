//! Logouts of every kind, and what may become of each when its gateway is killed.

use std::collections::HashSet;

use gotrue_mock::{Call, Tokens};
use logout_gateway::Clock;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::harness::{
    Browser, Connection, CookieFormat, GatewayProcess, Request, Setup, TestApp, claims_of,
    hs256_token,
};

const OF_EACH: usize = 50;
/// Longer than a token lives.
pub(super) const EXPIRED_AFTER: i64 = 3700;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    ByBearer(&'static str),
    ByCookie(&'static str),
    ByExpiredCookie,
    /// GoTrue refuses, and the session stays.
    OfBannedUser,
    /// Refused, as the next.
    Forged,
    WithoutCsrf,
    /// An HS256 token with the session's ids, signed with a secret of an attacker's. GoTrue judges it, and
    /// it leaves nothing.
    ForgedHs256,
    /// The session's expired access token, and a refresh token that GoTrue never issued. It may be queued.
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

    /// Whether the token has expired when the logout is asked for.
    fn is_expired(self) -> bool {
        matches!(self, Self::ByExpiredCookie | Self::OldToken)
    }

    fn scope(self) -> &'static str {
        match self {
            Self::ByBearer(scope) | Self::ByCookie(scope) => scope,
            // Whatever these ask for, they must not get it.
            Self::Forged
            | Self::WithoutCsrf
            | Self::OfBannedUser
            | Self::ForgedHs256
            | Self::OldToken => "global",
            Self::ByExpiredCookie => "local",
        }
    }

    /// The status of a refusal.
    fn refused(self) -> Option<u16> {
        match self {
            Self::Forged => Some(401),
            Self::WithoutCsrf => Some(403),
            _ => None,
        }
    }
}

/// One user's, who has another session, too.
pub(super) struct Logout {
    pub(super) kind: Kind,
    pub(super) own: Tokens,
    pub(super) other: Tokens,
    browser: Browser,
}

/// A test app at the system's time.
pub(super) async fn start_app() -> TestApp {
    Setup::new().start_time(Clock::system().unix_seconds() - EXPIRED_AFTER).start().await
}

/// In random order.
pub(super) async fn all(app: &TestApp) -> Vec<Logout> {
    let mut logouts = Vec::new();
    for kind in Kind::ALL {
        for _ in 0..OF_EACH {
            logouts.push(Logout::of(app, kind).await);
        }
        // The expired ones come first.
        if kind == Kind::OldToken {
            app.advance_time(EXPIRED_AFTER);
        }
    }
    fastrand::shuffle(&mut logouts);
    logouts
}

impl Logout {
    async fn of(app: &TestApp, kind: Kind) -> Self {
        let own = app.sign_up();
        let other = app.sign_in_again(&own);
        let refresh_token = match kind {
            Kind::OldToken => format!("made-up-{}", Uuid::new_v4()),
            _ => own.refresh_token.clone(),
        };
        let shown = Tokens { refresh_token, ..own.clone() };
        let mut browser = Browser::signed_in_without_csrf(app, &shown, CookieFormat::Base64);
        if matches!(kind, Kind::ByCookie(_)) || kind.is_expired() {
            // The test app's gateway and the one to be killed share their secret.
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

    /// The status, unless it was cut off.
    pub(super) async fn ask(&mut self, gateway: &Mutex<GatewayProcess>) -> Option<u16> {
        let request = self.request(&*gateway.lock().await);
        let mut connection = Connection::try_open(&request).await?;
        connection.write(&request.bytes(true)).await;
        connection.reply_if_complete().await.map(|reply| reply.status)
    }

    /// Whether everything that it asked for is so.
    pub(super) fn is_done(&self, app: &TestApp) -> bool {
        let alive = [app.is_alive(&self.own), app.is_alive(&self.other)];
        match self.kind.scope() {
            "global" => alive == [false, false],
            "others" => alive == [true, false],
            _ => alive == [false, true],
        }
    }

    /// Asserts that what its client was told is so, and that nothing else is.
    pub(super) fn assert_true(&self, app: &TestApp, told: Option<u16>, after: &After) {
        let Self { kind, own, .. } = self;
        let untouched = app.is_alive(&self.own) && app.is_alive(&self.other);
        let case = format!("{kind:?} {told:?} {}", own.session_id);
        if let Some(refused) = kind.refused() {
            assert!(told.is_none_or(|status| status == refused), "{case}");
            assert!(untouched, "{case}: refused, and done all the same");
            let sent = after.calls.iter().any(|call| {
                let bearer = call.header("authorization").and_then(|h| h.strip_prefix("Bearer "));
                let token = bearer.is_some_and(|token| token.starts_with(&own.access_token));
                token || call.body.contains(&own.refresh_token)
            });
            return assert!(!sent, "{case}: GoTrue was asked");
        }
        match (kind, told) {
            (Kind::ForgedHs256, _) => {
                assert!(untouched, "{case}: by a forged token");
                let statuses = [401, 429, 500].map(Some);
                assert!(told.is_none() || statuses.contains(&told), "{case}");
            }
            (Kind::OldToken, _) => {
                assert!(untouched, "{case}: by an old token");
                let statuses = [202, 401, 429, 500].map(Some);
                assert!(told.is_none() || statuses.contains(&told), "{case}");
            }
            (_, None) => assert!(untouched || self.is_done(app), "{case}: something else"),
            (Kind::OfBannedUser, Some(500)) => assert!(untouched, "{case}"),
            (Kind::OfBannedUser, Some(202)) => {
                assert!(untouched, "{case}");
                assert!(after.waiting.contains(&own.session_id), "{case}: forgotten");
            }
            (_, Some(200 | 202)) => assert!(self.is_done(app), "{case}: a broken promise"),
            _ => {
                assert!(after.store_was_down, "{case}: it can be queued");
                assert!(untouched || self.is_done(app), "{case}: something else");
            }
        }
    }
}

/// How things are when all is over.
pub(super) struct After {
    /// What GoTrue was asked.
    pub(super) calls: Vec<Call>,
    /// Whose logouts wait still.
    pub(super) waiting: HashSet<Uuid>,
    pub(super) store_was_down: bool,
}
