//! How much of the gateway and of the API one client address can take up.

use std::{net::TcpListener, time::Instant};

use super::{proxy::Kind, recorder::Recorder};
use crate::harness::{Connection, Reply, Request};

fn assert_limited(reply: &Reply) {
    assert_eq!(reply.status, 429, "{reply:?}");
    assert_eq!(reply.json()["error"]["code"], "RATE_LIMITED");
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(reply.header("retry-after"), Some("1"));
}

/// What a fresh token bucket lets through in the time since `begun`.
fn allowed(burst: u64, rate: u64, begun: Instant) -> usize {
    usize::try_from(1 + burst + rate * (begun.elapsed().as_secs() + 1)).unwrap()
}

#[tokio::test]
async fn a_burst_of_logouts_beyond_the_limit_is_429_at_nginx() {
    let gateway = Recorder::start(200, &[], "");
    let api = Recorder::api();
    let routes = [("GET", "/api/auth/csrf"), ("POST", "/logout"), ("POST", "/api/v1/auth/logout")];
    let proxy = Kind::Nginx.start(gateway.address, api.address).await;
    let begun = Instant::now();
    let mut limited = 0;
    for n in 0..200 {
        let (method, path) = routes[n % routes.len()];
        let reply = Request::new(proxy.address, method, path).send().await;
        if reply.status == 200 {
            continue;
        }
        assert!(n > 40, "the office that signs out at the end of the day");
        assert_limited(&reply);
        limited += 1;
    }
    assert_eq!(gateway.count() + limited, 200);
    assert!(limited > 0 && gateway.count() <= allowed(40, 5, begun), "{}", gateway.count());
    let api_request = Request::new(proxy.address, "GET", "/").send().await;
    assert_eq!(api_request.status, 200, "the API has a limit of its own");
}

#[tokio::test]
async fn a_page_that_sends_many_requests_is_not_limited_and_a_flood_is_429_at_nginx() {
    let gateway = Recorder::start(200, &[("X-Auth-Carrier", "bearer")], "");
    let api = Recorder::api();
    let proxy = Kind::Nginx.start(gateway.address, api.address).await;
    let request = || Request::new(proxy.address, "GET", "/things").bearer("t");
    for n in 0..200 {
        assert_eq!(request().send().await.status, 200, "request {n} of the page");
    }
    let mut open = Connection::open(proxy.address).await;
    let limited = async {
        for _ in 0..5000 {
            open.write(&request().bytes(false)).await;
            let reply = open.reply(false).await;
            match reply {
                Some(reply) if reply.status == 429 => return Some(reply),
                Some(reply) => assert_eq!(reply.status, 200),
                None => open = Connection::open(proxy.address).await,
            }
        }
        None
    };
    assert_limited(&limited.await.expect("a limit"));
    assert_eq!(gateway.count(), api.count(), "a limited request asks nothing");
    assert_eq!(gateway.last().line(), "GET /api/auth/verify");
}

#[tokio::test]
async fn one_address_holds_no_more_than_twenty_logouts_at_nginx() {
    // Accepts connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let api = Recorder::api();
    let proxy = Kind::Nginx.start(silent.local_addr().unwrap(), api.address).await;
    // Fewer than the limit of the rate.
    let mut open = Vec::new();
    for _ in 0..21 {
        let mut connection = Connection::open(proxy.address).await;
        connection.write(&Request::new(proxy.address, "POST", "/logout").bytes(false)).await;
        open.push(connection);
    }
    let mut limited = None;
    for _ in 0..100 {
        for (at, connection) in open.iter_mut().enumerate() {
            if connection.has_something().await {
                limited = Some(at);
            }
        }
        if limited.is_some() {
            break;
        }
    }
    let mut limited = open.swap_remove(limited.expect("one of them is limited"));
    assert_limited(&limited.reply(false).await.unwrap());
    for connection in &mut open {
        assert!(!connection.has_something().await, "twenty wait for the gateway");
    }
}

#[tokio::test]
async fn a_head_or_body_longer_than_the_gateway_takes_ends_at_caddy() {
    let gateway = Recorder::start(200, &[], "");
    let api = Recorder::api();
    let proxy = Kind::Caddy.start(gateway.address, api.address).await;
    let request = |method, path| Request::new(proxy.address, method, path);
    let head = |length| request("POST", "/logout").header("X-Pad", "x".repeat(length));
    assert_eq!(head(128 * 1024).send().await.status, 200);
    assert_eq!(head(256 * 1024).send().await.status, 431);
    assert_eq!(gateway.count(), 1);
    assert_eq!(request("POST", "/logout").body(vec![b'x'; 10_000]).send().await.status, 200);
    let reply = request("POST", "/logout").body(vec![b'x'; 20_000]).send().await;
    assert!(reply.status == 413 || reply.status >= 500, "{reply:?}");
    assert_eq!(gateway.count(), 2);
}
