//! The Supabase project under test, gateways in front of it, and browsers that are signed in.

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

/// The project that all tests share. Hosted projects limit sign-ups, so all tests use the same two users and
/// run one after the other.
static PROJECT: OnceCell<Mutex<Project>> = OnceCell::const_new();

/// The gateway's setting `cookie-name`. The tests set it, because its default depends on the project's URL.
const COOKIE: &str = "sb-test-auth-token";

/// A user that the tests have created.
struct User {
    email: String,
    password: String,
}

impl User {
    async fn new(gotrue: &GoTrue) -> Self {
        let domain =
            environment_variable("TEST_EMAIL_DOMAIN").unwrap_or_else(|| "example.com".to_owned());
        let user = Self {
            email: format!("logout-gateway-{}@{domain}", Uuid::new_v4().simple()),
            password: format!("Aa1-{}", Uuid::new_v4()),
        };
        gotrue.sign_up(&user.email, &user.password).await;
        user
    }
}

/// A Supabase project, which is either a real one or the mock.
pub(crate) struct Project {
    pub(crate) gotrue: GoTrue,
    /// The flags with which a gateway serves this project.
    flags: Vec<(&'static str, String)>,
    /// The mock, or `None` if the project is a real one.
    pub(crate) mock: Option<Mock>,
    user: User,
    stranger: User,
}

#[expect(clippy::disallowed_methods, reason = "the project under test is named by the environment")]
fn environment_variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl Project {
    /// Locks the project: no other test uses it until the guard is dropped.
    pub(crate) async fn lock() -> MutexGuard<'static, Self> {
        PROJECT.get_or_init(async || Mutex::new(Self::start().await)).await.lock().await
    }

    async fn start() -> Self {
        // `make test-supabase` sets TEST_SUPABASE. SUPABASE_URL alone does not select a real project, because
        // it may be set for another purpose.
        let (flags, mock) = if environment_variable("TEST_SUPABASE").is_some() {
            (Self::flags_from_environment(), None)
        } else {
            let mock = Self::start_mock().await;
            (vec![("supabase-url", mock.url().to_owned())], Some(mock))
        };
        let flag = |name: &str| flags.iter().find(|(flag, _)| *flag == name).map(|(_, v)| &**v);
        let default_url =
            || format!("{}/auth/v1", flag("supabase-url").unwrap().trim_end_matches('/'));
        let base = flag("gotrue-url").map_or_else(default_url, str::to_owned);
        let gotrue =
            GoTrue::new(&base, flag("supabase-publishable-key").or(flag("supabase-anon-key")));
        let (user, stranger) = (User::new(&gotrue).await, User::new(&gotrue).await);
        Self { gotrue, flags, mock, user, stranger }
    }

    /// The flags of a real project, from the environment variables that configure a gateway.
    fn flags_from_environment() -> Vec<(&'static str, String)> {
        let names = [
            ("supabase-url", "SUPABASE_URL"),
            ("supabase-publishable-key", "SUPABASE_PUBLISHABLE_KEY"),
            ("supabase-anon-key", "SUPABASE_ANON_KEY"),
            ("supabase-jwt-secret", "SUPABASE_JWT_SECRET"),
            ("gotrue-url", "GOTRUE_URL"),
            ("jwt-issuer", "GATEWAY_JWT_ISSUER"),
        ];
        let set =
            names.into_iter().filter_map(|(flag, name)| Some((flag, environment_variable(name)?)));
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
        // The mock needs its own thread: all tests use the mock, even after the runtime of the first test has
        // stopped.
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

    /// Changes the user's password with the access token of `session`.
    pub(crate) async fn change_password(&mut self, session: &Session) {
        // Store the password before the call, so that later tests can sign in even if this test fails after
        // the call.
        self.user.password = format!("Aa1-{}", Uuid::new_v4());
        self.gotrue.change_password(session, &self.user.password).await;
    }

    /// Lets time pass for GoTrue and the gateways: moves the mock's clock, or waits if the project is a real
    /// one.
    pub(crate) async fn advance_time(&self, time: Duration) {
        match &self.mock {
            Some(mock) => mock.advance_clock(time).unwrap(),
            None => tokio::time::sleep(time).await,
        }
    }

    /// Starts a gateway whose clock is `ahead` seconds ahead of GoTrue's clock.
    pub(crate) async fn start_gateway(&self, ahead: i64) -> Gateway {
        let flags = self.flags.iter().map(|(flag, value)| (*flag, value.as_str()));
        let flags: Vec<_> = flags.chain([("cookie-name", COOKIE)]).collect();
        let config = Setup::new().flags(&flags).config();
        let gotrue_clock = match self.mock.clone() {
            Some(mock) => Clock::from_fn(move || mock.now()),
            None => Clock::system(),
        };
        let clock = Clock::from_fn(move || {
            UNIX_EPOCH + Duration::from_secs((gotrue_clock.unix_seconds() + ahead).unsigned_abs())
        });
        let gateway = gateway::Gateway::start(config, clock, &Router::new()).unwrap();
        let gateway = Gateway(Some(gateway));
        eventually("the gateway is ready", || async {
            gateway.request("GET", "/readyz").send().await.status == 200
        })
        .await;
        gateway
    }
}

/// A running gateway in front of the project.
pub(crate) struct Gateway(Option<gateway::Gateway>);

impl Gateway {
    pub(crate) fn request(&self, method: &str, target: &str) -> Request {
        Request::to(self.0.as_ref().unwrap().address.clone(), method, target)
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

/// A browser with a page of the gateway's own origin.
pub(crate) struct Browser<'g> {
    gateway: &'g Gateway,
    pub(crate) jar: CookieJar,
}

impl<'g> Browser<'g> {
    /// Makes a browser that has the cookies of the session and has fetched a CSRF token.
    pub(crate) async fn signed_in(
        gateway: &'g Gateway,
        session: &Session,
        format: CookieFormat,
    ) -> Self {
        let mut browser = Self { gateway, jar: CookieJar::default() };
        let (access, refresh) = (&session.access_token, &session.refresh_token);
        for (name, value) in session_cookies(COOKIE, access, refresh, format) {
            browser.jar.insert(Page::LOCAL, &name, &value);
        }
        let reply = browser.request("GET", "/api/auth/csrf").send().await;
        assert_eq!(reply.status, 200, "{reply:?}");
        browser.store_cookies(&reply);
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
        self.store_cookies(&reply);
        reply
    }

    fn store_cookies(&mut self, reply: &Reply) {
        for line in reply.set_cookies() {
            self.jar.store_set_cookie(Page::LOCAL, line);
        }
    }
}
