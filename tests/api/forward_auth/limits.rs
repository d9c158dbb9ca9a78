//! The proxy's limits for one client address: how many requests may reach the gateway and the API.

use std::{net::TcpListener, time::Instant};

use super::{proxy::Kind, recorder::Recorder};
use crate::harness::{Connection, Reply, Request, ServerProcess, eventually};

fn assert_limited(reply: &Reply) {
    assert_eq!(reply.status, 429, "{reply:?}");
    assert_eq!(reply.json()["error"]["code"], "RATE_LIMITED");
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(reply.header("retry-after"), Some("1"));
}

/// The most requests that a token bucket of this size and rate (per second) lets through since `start`.
fn allowed(burst: u64, rate: u64, start: Instant) -> usize {
    usize::try_from(1 + burst + rate * (start.elapsed().as_secs() + 1)).unwrap()
}

#[tokio::test]
async fn a_burst_of_logouts_beyond_the_limit_is_429_at_nginx() {
    let gateway = Recorder::start(200, &[], "");
    let api = Recorder::api();
    let routes = [("GET", "/api/auth/csrf"), ("POST", "/logout"), ("POST", "/api/v1/auth/logout")];
    let proxy = Kind::Nginx.start(gateway.address, api.address).await;
    let start = Instant::now();
    let mut limited = 0;
    for n in 0..200 {
        let (method, path) = routes[n % routes.len()];
        let reply = Request::new(proxy.address, method, path).send().await;
        if reply.status == 200 {
            continue;
        }
        assert!(n > 40, "40 logouts at once, as of an office behind one address, are allowed");
        assert_limited(&reply);
        limited += 1;
    }
    assert_eq!(gateway.count() + limited, 200);
    assert!(limited > 0 && gateway.count() <= allowed(40, 5, start), "{}", gateway.count());
    let api_request = Request::new(proxy.address, "GET", "/").send().await;
    assert_eq!(api_request.status, 200, "the API has a separate limit");
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
    assert_limited(&limited.await.expect("a request is limited"));
    assert_eq!(gateway.count(), api.count(), "a limited request reaches neither gateway nor API");
    assert_eq!(gateway.last().line(), "GET /api/auth/verify");
}

#[tokio::test]
async fn one_address_has_at_most_twenty_open_logouts_at_nginx() {
    // This server, in place of the gateway, accepts connections and never responds.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let api = Recorder::api();
    let proxy = Kind::Nginx.start(silent.local_addr().unwrap(), api.address).await;
    // Open one more logout than nginx allows at once. The rate limit would allow even more.
    let mut open = Vec::new();
    for _ in 0..21 {
        let mut connection = Connection::open(proxy.address).await;
        connection.write(&Request::new(proxy.address, "POST", "/logout").bytes(false)).await;
        open.push(connection);
    }
    let mut limited = None;
    for _ in 0..100 {
        for (at, connection) in open.iter_mut().enumerate() {
            if connection.has_unread_bytes().await {
                limited = Some(at);
            }
        }
        if limited.is_some() {
            break;
        }
    }
    let mut limited = open.swap_remove(limited.expect("one request is limited"));
    assert_limited(&limited.reply(false).await.unwrap());
    for connection in &mut open {
        assert!(!connection.has_unread_bytes().await, "the other twenty wait for the gateway");
    }
}

#[tokio::test]
async fn a_client_with_many_requests_open_at_the_api_can_still_sign_out_at_nginx() {
    let gateway = Recorder::start(200, &[("X-Auth-Carrier", "bearer")], "");
    // This server, in place of the API, accepts connections and never responds.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = Kind::Nginx.start(gateway.address, silent.local_addr().unwrap()).await;
    let mut open = Vec::new();
    for _ in 0..60 {
        let mut connection = Connection::open(proxy.address).await;
        connection.write(&Request::new(proxy.address, "GET", "/things").bytes(false)).await;
        open.push(connection);
    }
    eventually("all requests reached the gateway", || async { gateway.count() == 60 }).await;
    let reply = Request::new(proxy.address, "POST", "/logout").send().await;
    assert_eq!((reply.status, gateway.last().line()), (200, "POST /logout".to_owned()));
}

/// Whether nginx counts the two addresses as one client. nginx must not have seen either address before.
async fn share_a_limit(proxy: &ServerProcess, addresses: [&str; 2]) -> bool {
    let (start, mut passed) = (Instant::now(), 0);
    let mut open = Connection::open(proxy.address).await;
    for n in 0..80 {
        let request = Request::new(proxy.address, "GET", "/logout");
        let request = request.header("X-Test-Address", addresses[n % 2]);
        open.write(&request.bytes(false)).await;
        let reply = open.reply(false).await.unwrap();
        match reply.status {
            200 => passed += 1,
            _ => assert_limited(&reply),
        }
    }
    // With separate limits all 80 requests pass, with a shared limit only a few more than 41.
    assert!(passed == 80 || passed <= allowed(40, 5, start), "{addresses:?}: {passed}");
    passed < 80
}

#[tokio::test]
async fn nginx_counts_a_client_by_its_ipv4_address_or_by_its_ipv6_network() {
    let gateway = Recorder::start(200, &[], "");
    let api = Recorder::api();
    let proxy = Kind::Nginx.start(gateway.address, api.address).await;
    for (first, second, shared) in [
        ("192.0.2.1", "192.0.2.2", false),
        ("192.0.2.3", "::ffff:192.0.2.3", true),
        ("::ffff:192.0.2.4", "::ffff:192.0.2.5", false),
        ("::ffff:10.10.10.10", "::ffff:c000:206", false),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true),
        ("2001:db8:1:3::1", "2001:db8:1:4::1", false),
        ("2001:db8:5::1", "2001:db8:5:0:1:2:3:4", true),
        ("2001:db8:6::1", "2001:db8:6:1::1", false),
        ("2001:db8::1", "2001:db8:0:0:8000::", true),
        ("2001:db8:0:7::1", "2001:db8:0:8::1", false),
        ("2001:db8:0:9::1", "2001:DB8:0:9:0:0:192.0.2.9", true),
        ("1::", "1::1", true),
        ("2:0:0:1::", "2:0:0:2::", false),
        // nginx must also count addresses whose bytes are line breaks.
        ("a0a:d0d:a0a:a0a:a0a:a0a:a0a:a0a", "a0a:d0d:a0a:a0a::d0d", true),
        ("::1", "::2", true),
    ] {
        assert_eq!(share_a_limit(&proxy, [first, second]).await, shared, "{first}, {second}");
    }
}

#[tokio::test]
async fn a_head_or_body_over_the_gateways_limit_is_refused_by_caddy() {
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
