//! What is measured: logouts and checks, each with requests that every subject gets alike.

use std::{rc::Rc, time::Duration};

use super::{
    exchange::{Connection, Exchange},
    load::{Load, Until},
    measure::{Cost, Meter},
    process::Process,
    sessions::Session,
    subjects::{World, kind::Kind},
};

/// The sessions of a check, far fewer than the gateway's cache of verified tokens holds.
const VERIFIED_SESSIONS: usize = 256;
/// The connections that verify tokens before the logouts that are measured.
const PREPARING_CONNECTIONS: usize = 8;
/// As long as a token of the gateway, for subjects that do not check it.
const UNCHECKED_CSRF_TOKEN: &str =
    "0123456789abcdefghijkl.0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
/// How long a round of checks lasts.
pub(crate) const ROUND: Duration = Duration::from_secs(1);

/// How a request carries its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    Bearer,
    Cookie,
}

/// The sessions that are prepared, and then logged out, together. The gateway's cache of tokens must hold them.
pub(crate) const BATCH: usize = 1000;
pub(crate) const BATCHES: usize = 8;

/// Logouts, each of a session of its own: the gateway answers a second logout of one session without asking
/// GoTrue.
#[derive(Clone, Copy)]
pub(crate) struct Logouts {
    pub(crate) carrier: Carrier,
    /// Whether the gateway has verified the token twice before, as in use: once does not keep a token in its cache
    /// while that is full.
    pub(crate) is_known: bool,
    pub(crate) connections: usize,
    pub(crate) batch: usize,
    pub(crate) batches: usize,
}

impl Logouts {
    /// Logs the sessions out at `subject`; the first batch is not counted.
    pub(crate) async fn run(self, world: &World, kind: Kind, subject: &Process) -> Cost {
        let mut load = Load::open(subject.address, self.connections).await;
        load.send(&self.prepare(world, kind, subject).await, Until::AllSent).await;
        let mut meter = Meter::of(&[subject]);
        for _ in 0..self.batches {
            let exchanges = self.prepare(world, kind, subject).await;
            let before = logouts_at(&world.upstream).await;
            meter.send(&mut load, &exchanges, Until::AllSent).await;
            let arrived = logouts_at(&world.upstream).await - before;
            assert_eq!(arrived, exchanges.len(), "logouts of {} did not reach GoTrue", kind.name());
        }
        meter.cost()
    }

    /// Makes sessions, and the logout of each.
    pub(crate) async fn prepare(
        self,
        world: &World,
        kind: Kind,
        subject: &Process,
    ) -> Rc<[Exchange]> {
        let sessions = world.issuer.sign_in_many(self.batch);
        let mut logouts = Vec::new();
        if self.carrier == Carrier::Cookie {
            let mut connection = Connection::open(subject.address).await.unwrap();
            for session in &sessions {
                let csrf = if kind.has_csrf_token() {
                    csrf_token(&mut connection, &world.issuer.browser(session)).await
                } else {
                    UNCHECKED_CSRF_TOKEN.to_owned()
                };
                logouts.push(kind.logout(&world.issuer.browser_with_csrf(session, &csrf)));
            }
        } else {
            logouts.extend(sessions.iter().map(|session| kind.logout(&session.bearer())));
        }
        if self.is_known && kind == Kind::Gateway {
            let mut load = Load::open(subject.address, PREPARING_CONNECTIONS).await;
            let verified = verifications(world, kind, self.carrier, &sessions);
            load.send(&verified, Until::AllSent).await;
            load.send(&verified, Until::AllSent).await;
        }
        logouts.into()
    }
}

/// Checks of the same sessions again and again.
pub(crate) async fn verify(
    world: &World,
    (kind, subject): (Kind, &Process),
    carrier: Carrier,
    connections: usize,
    time: Duration,
) -> Cost {
    let sessions = world.issuer.sign_in_many(VERIFIED_SESSIONS);
    let exchanges = verifications(world, kind, carrier, &sessions);
    let mut load = Load::open(subject.address, connections).await;
    load.send(&exchanges, Until::AllSent).await;
    load.send(&exchanges, Until::AllSent).await;
    let mut meter = Meter::of(&[subject]);
    meter.send(&mut load, &exchanges, Until::Over(time)).await;
    meter.cost()
}

/// Requests of a page behind nginx's `auth_request`, which asks `asked`. The cost is that of nginx, and that of
/// `asked`.
pub(crate) async fn auth_request(
    world: &World,
    nginx: &Process,
    (path, asked): (&str, &Process),
    connections: usize,
) -> Cost {
    let sessions = world.issuer.sign_in_many(VERIFIED_SESSIONS);
    let page = |session: &Session| {
        Exchange::new("GET", path, &session.bearer(), 200).with_head("Content-Type: image/gif\r\n")
    };
    let exchanges: Rc<[Exchange]> = sessions.iter().map(page).collect();
    let mut load = Load::open(nginx.address, connections).await;
    load.send(&exchanges, Until::AllSent).await;
    load.send(&exchanges, Until::AllSent).await;
    let mut meter = Meter::of(&[nginx, asked]);
    meter.send(&mut load, &exchanges, Until::Over(ROUND)).await;
    meter.cost()
}

fn verifications(
    world: &World,
    kind: Kind,
    carrier: Carrier,
    sessions: &[Session],
) -> Rc<[Exchange]> {
    let headers = |session: &Session| match carrier {
        Carrier::Bearer => session.bearer(),
        Carrier::Cookie => world.issuer.browser(session),
    };
    sessions.iter().map(|session| kind.verify(&headers(session), &session.user_id)).collect()
}

/// The number of logouts that have reached the stub.
async fn logouts_at(upstream: &Process) -> usize {
    let mut connection = Connection::open(upstream.address).await.unwrap();
    let request = b"GET /logouts HTTP/1.1\r\n\r\n";
    let response = connection.response(request).await.unwrap();
    std::str::from_utf8(response.body).unwrap().parse().unwrap()
}

/// Fetches the CSRF token of a browser with these header lines.
async fn csrf_token(connection: &mut Connection, browser: &str) -> String {
    let request = Exchange::new("GET", "/api/auth/csrf", browser, 200).request;
    let response = connection.response(&request).await.unwrap();
    assert_eq!(response.status, 200, "no CSRF token");
    let body: serde_json::Value = serde_json::from_slice(response.body).unwrap();
    body["data"]["csrf_token"].as_str().unwrap().to_owned()
}
