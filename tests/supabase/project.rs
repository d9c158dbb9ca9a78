//! The project under test, gateways in front of it, and browsers signed in there.

use std::time::{Duration, UNIX_EPOCH};

use axum::Router;
use gotrue_mock::{Mock, Options};
use logout_gateway::{Clock, internals::gateway};
use tokio::{
    net::TcpListener,
    sync::{Mutex, MutexGuard, OnceCell},
};
use uuid::Uuid;

use super::gotrue::{GoTrue, Session};
use test_harness::{
    CookieFormat, CookieJar, Page, Reply, Request, Setup, eventually, session_cookies,
};

/// One user and one stranger serve all tests, which therefore go one after the other: hosted projects
/// limit sign-ups.
static PROJECT: OnceCell<Mutex<Project>> = OnceCell::const_new();

/// The name of a cookie depends on the project's; the tests fix it.
const COOKIE: &str = "sb-test-auth-token";

/// A user of the tests' own.
struct User {
    email: String,
    password: String,
}

impl User {
    async fn new(gotrue: &GoTrue) -> Self {
        let domain = variable("TEST_EMAIL_DOMAIN").unwrap_or_else(|| "example.com".to_owned());
        let user = Self {
            email: format!("logout-gateway-{}@{domain}", Uuid::new_v4().simple()),
            password: format!("Aa1-{}", Uuid::new_v4()),
        };
        gotrue.sign_up(&user.email, &user.password).await;
        user
    }
}

pub(crate) struct Project {
    pub(crate) gotrue: GoTrue,
    /// What the gateway is told of it.
    flags: Vec<(&'static str, String)>,
    /// The mock that stands for the project; `None`: the project is a real one.
    pub(crate) mock: Option<Mock>,
    user: User,
    stranger: User,
}

#[expect(clippy::disallowed_methods, reason = "the project under test is named by the environment")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl Project {
    /// The project, for this test alone.
    pub(crate) async fn now() -> MutexGuard<'static, Self> {
        PROJECT.get_or_init(async || Mutex::new(Self::start().await)).await.lock().await
    }

    async fn start() -> Self {
        // Not by SUPABASE_URL alone: who happens to have it set does not ask to be tested.
        let (flags, mock) = if variable("TEST_SUPABASE").is_some() {
            (Self::named(), None)
        } else {
            let mock = Self::start_mock().await;
            (vec![("supabase-url", mock.url().to_owned())], Some(mock))
        };
        let flag = |name: &str| flags.iter().find(|(flag, _)| *flag == name).map(|(_, v)| &**v);
        let below = || format!("{}/auth/v1", flag("supabase-url").unwrap().trim_end_matches('/'));
        let base = flag("gotrue-url").map_or_else(below, str::to_owned);
        let gotrue =
            GoTrue::new(&base, flag("supabase-publishable-key").or(flag("supabase-anon-key")));
        let (user, stranger) = (User::new(&gotrue).await, User::new(&gotrue).await);
        Self { gotrue, flags, mock, user, stranger }
    }

    /// By the gateway's own variables.
    fn named() -> Vec<(&'static str, String)> {
        let names = [
            ("supabase-url", "SUPABASE_URL"),
            ("supabase-publishable-key", "SUPABASE_PUBLISHABLE_KEY"),
            ("supabase-anon-key", "SUPABASE_ANON_KEY"),
            ("supabase-jwt-secret", "SUPABASE_JWT_SECRET"),
            ("gotrue-url", "GOTRUE_URL"),
            ("jwt-issuer", "GATEWAY_JWT_ISSUER"),
        ];
        let set = names.into_iter().filter_map(|(flag, name)| Some((flag, variable(name)?)));
        let flags: Vec<_> = set.collect();
        assert!(flags.iter().any(|(flag, _)| *flag == "supabase-url"), "SUPABASE_URL is not set");
        flags
    }

    async fn start_mock() -> Mock {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let clock = Clock::system();
        let mock = Mock::new(Options::default(), address, move || clock.now().into()).unwrap();
        let listener = listener.into_std().unwrap();
        // It outlives the runtime of the test that happens to be first.
        let served = mock.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                gotrue_mock::serve(listener, served, std::future::pending()).await;
            });
        });
        mock
    }

    pub(crate) async fn sign_in(&self) -> Session {
        self.gotrue.sign_in(&self.user.email, &self.user.password).await
    }

    pub(crate) async fn sign_in_stranger(&self) -> Session {
        self.gotrue.sign_in(&self.stranger.email, &self.stranger.password).await
    }

    /// Gives the user another password, by this session of the user's.
    pub(crate) async fn change_password(&mut self, session: &Session) {
        // Kept before the call: the next test signs in with it.
        self.user.password = format!("Aa1-{}", Uuid::new_v4());
        self.gotrue.change_password(session, &self.user.password).await;
    }

    /// Time passes for GoTrue and for the gateways in front of it: the mock's at once, a real one's by
    /// waiting for it.
    pub(crate) async fn pass(&self, time: Duration) {
        match &self.mock {
            Some(mock) => mock.advance_clock(time).unwrap(),
            None => tokio::time::sleep(time).await,
        }
    }

    /// A gateway whose clock is so many seconds ahead of GoTrue's.
    pub(crate) async fn gateway(&self, ahead: i64) -> Gateway {
        let given = self.flags.iter().map(|(flag, value)| (*flag, value.as_str()));
        let given: Vec<_> = given.chain([("cookie-name", COOKIE)]).collect();
        let config = Setup::new().flags(&given).config();
        let gotrue = match self.mock.clone() {
            Some(mock) => Clock::from_fn(move || mock.now()),
            None => Clock::system(),
        };
        let clock = Clock::from_fn(move || {
            UNIX_EPOCH + Duration::from_secs((gotrue.unix_seconds() + ahead).unsigned_abs())
        });
        let gateway = gateway::Gateway::start(config, clock, &Router::new()).unwrap();
        let gateway = Gateway(Some(gateway));
        eventually("the project's keys are known", || async {
            gateway.request("GET", "/readyz").send().await.status == 200
        })
        .await;
        gateway
    }
}

/// A gateway in front of the project.
pub(crate) struct Gateway(Option<gateway::Gateway>);

impl Gateway {
    pub(crate) fn request(&self, method: &str, target: &str) -> Request {
        Request::new(self.0.as_ref().unwrap().address, method, target)
    }

    pub(crate) async fn verify(&self, session: &Session) -> u16 {
        let request = self.request("GET", "/api/auth/verify").bearer(&session.access_token);
        request.send().await.status
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(gateway) = self.0.take() {
            gateway.stop();
        }
    }
}

/// A browser at a page of the gateway's own origin.
pub(crate) struct Browser<'g> {
    gateway: &'g Gateway,
    pub(crate) jar: CookieJar,
}

impl<'g> Browser<'g> {
    /// With the cookies of a session, and a CSRF token as an app gets it.
    pub(crate) async fn signed_in(
        gateway: &'g Gateway,
        session: &Session,
        form: CookieFormat,
    ) -> Self {
        let mut browser = Self { gateway, jar: CookieJar::default() };
        let (access, refresh) = (&session.access_token, &session.refresh_token);
        for (name, value) in session_cookies(COOKIE, access, refresh, form) {
            browser.jar.insert(Page::LOCAL, &name, &value);
        }
        let reply = browser.request("GET", "/api/auth/csrf").send().await;
        assert_eq!(reply.status, 200, "{reply:?}");
        browser.take(&reply);
        browser
    }

    pub(crate) fn request(&self, method: &str, target: &str) -> Request {
        let request = self.gateway.request(method, target).header("Sec-Fetch-Site", "same-origin");
        request.cookies(&self.jar.cookies_for(Page::LOCAL))
    }

    pub(crate) async fn logout(&mut self, target: &str) -> Reply {
        let sent = self.jar.cookies_for(Page::LOCAL);
        let (_, token) = sent.iter().find(|(name, _)| name == "sb-csrf-token").unwrap();
        let reply = self.request("POST", target).header("X-CSRF-Token", token).send().await;
        self.take(&reply);
        reply
    }

    fn take(&mut self, reply: &Reply) {
        for line in reply.set_cookies() {
            self.jar.store_set_cookie(Page::LOCAL, line);
        }
    }
}
