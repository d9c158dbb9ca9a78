//! The admin listener has no authentication, so it must refuse requests that pages of other sites send from
//! the operator's browser: by the request's host, by `Sec-Fetch-Site` and by `Origin`.

use rstest::rstest;
use serde_json::json;

use crate::harness::{Connection, Reply, Request, Setup, TestApp, assert_error};

const PATHS: [&str; 7] =
    ["/", "/metrics", "/queue", "/failures", "/healthz", "/readyz", "/no-such-path"];

async fn start_app() -> TestApp {
    let setup = Setup::new().flag("admin-bind", "127.0.0.1:0");
    setup.flag("admin-hosts", "Monitoring.example.com").start().await
}

fn admin_request(app: &TestApp, method: &str, target: &str) -> Request {
    Request::new(app.admin_address.unwrap(), method, target)
}

/// Asserts that a refusal contains neither the id of `user` nor a metric.
#[track_caller]
fn assert_reveals_nothing(reply: &Reply, user: &str) {
    let all = format!("{:?} {}", reply.headers, reply.text());
    assert!(!all.contains(user) && !all.contains("logout_gateway_"), "{all}");
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert!(all.len() < 2000, "{all}");
}

#[rstest]
#[case::foreign_name("attacker.example")]
#[case::with_the_listeners_port("attacker.example:9090")]
#[case::allowed_name_as_a_prefix("localhost.attacker.example")]
#[case::address_as_a_prefix("127.0.0.1.attacker.example")]
#[case::subdomain_of_the_configured_name("a.monitoring.example.com")]
#[case::empty("")]
#[case::text_after_an_address("[::1]evil")]
#[case::port_that_is_no_number("localhost:abc")]
#[case::port_that_is_too_large("127.0.0.1:99999")]
#[tokio::test]
async fn a_host_that_dns_rebinding_can_use_is_421_at_each_path_and_reveals_nothing(
    #[case] host: &str,
) {
    let app = start_app().await;
    let tokens = app.sign_up();
    app.inject_fault(json!({"operation": "logout", "kind": "status", "status": 500, "times": 1}));
    let logout = app.post("/logout").bearer(&tokens.access_token).send().await;
    assert_eq!(logout.status, 500, "the failure log has an entry with the user's id");
    let user = tokens.user_id.to_string();
    for path in PATHS {
        for method in ["GET", "POST", "OPTIONS"] {
            let reply = admin_request(&app, method, path).host(host).send().await;
            assert_error(&reply, 421, "MISDIRECTED_REQUEST", None);
            assert_reveals_nothing(&reply, &user);
        }
    }
    let metrics = admin_request(&app, "GET", "/metrics").send().await.text();
    let refusals = r#"logout_gateway_requests_refused_total{reason="MISDIRECTED_REQUEST"} 21"#;
    assert!(metrics.contains(refusals), "{metrics}");
}

#[tokio::test]
async fn the_host_of_an_absolute_target_takes_precedence_over_the_host_header() {
    let app = start_app().await;
    for path in PATHS {
        let target = format!("http://attacker.example{path}");
        let reply = admin_request(&app, "GET", &target).host("127.0.0.1").send().await;
        assert_error(&reply, 421, "MISDIRECTED_REQUEST", None);
    }
    let reply = admin_request(&app, "GET", "http://127.0.0.1/healthz").host("attacker.example");
    assert_eq!(reply.send().await.status, 200);
}

#[rstest]
#[case::address("127.0.0.1")]
#[case::another_address_and_port("10.1.2.3:80")]
#[case::ipv6("[::1]:9090")]
#[case::localhost("localhost:9090")]
#[case::localhost_in_capitals("LOCALHOST")]
#[case::configured("monitoring.example.com:9090")]
#[case::configured_as_an_absolute_name("MONITORING.example.com.")]
#[tokio::test]
async fn a_host_that_dns_rebinding_cannot_use_is_accepted(#[case] host: &str) {
    let app = start_app().await;
    for (path, status) in PATHS.iter().zip([200, 200, 200, 200, 200, 200, 404]) {
        assert_eq!(
            admin_request(&app, "GET", path).host(host).send().await.status,
            status,
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_request_from_a_page_of_another_site_is_403_at_each_path_and_reveals_nothing() {
    let app = start_app().await;
    for path in PATHS {
        for site in ["cross-site", "same-site", "Same-Origin", "anything", ""] {
            let reply =
                admin_request(&app, "GET", path).header("Sec-Fetch-Site", site).send().await;
            assert_error(&reply, 403, "CSRF_FAILED", Some("cross_site"));
            assert_reveals_nothing(&reply, "user");
        }
        let two_values = [("Sec-Fetch-Site", "none"), ("Sec-Fetch-Site", "cross-site")];
        assert_eq!(admin_request(&app, "GET", path).headers(&two_values).send().await.status, 403);
    }
    for site in ["same-origin", "none"] {
        let reply =
            admin_request(&app, "GET", "/failures").header("Sec-Fetch-Site", site).send().await;
        assert_eq!(reply.status, 200, "{site}");
    }
}

#[tokio::test]
async fn a_foreign_origin_without_sec_fetch_site_is_403_at_each_path() {
    let app = start_app().await;
    let own = app.admin_address.unwrap().to_string();
    let foreign = [
        "https://attacker.example".to_owned(),
        "http://localhost:1".to_owned(),
        format!("http://{own}.attacker.example"),
        format!("ftp://{own}"),
        own.clone(),
        "null".to_owned(),
        String::new(),
    ];
    for path in PATHS {
        for method in ["GET", "POST"] {
            for origin in &foreign {
                let reply = admin_request(&app, method, path).header("Origin", origin).send().await;
                assert_error(&reply, 403, "CSRF_FAILED", Some("cross_site"));
                assert_reveals_nothing(&reply, "user");
            }
        }
        let two_values =
            [("Origin", &*format!("http://{own}")), ("Origin", "https://attacker.example")];
        assert_eq!(admin_request(&app, "GET", path).headers(&two_values).send().await.status, 403);
    }
    for origin in [format!("http://{own}"), format!("https://{own}")] {
        let reply = admin_request(&app, "GET", "/queue").header("Origin", origin).send().await;
        assert_eq!(
            reply.status, 200,
            "the own origin, also with the scheme of a TLS proxy in front"
        );
    }
    let by_name = admin_request(&app, "GET", "/queue").host("Monitoring.example.com");
    let by_name = by_name.header("Origin", "https://monitoring.example.com").send().await;
    assert_eq!(by_name.status, 200);
    let rewritten =
        [("Origin", "https://monitoring.example.com"), ("Sec-Fetch-Site", "same-origin")];
    let reply = admin_request(&app, "GET", "/queue").headers(&rewritten).send().await;
    assert_eq!(
        reply.status, 200,
        "a proxy may rewrite the host, so Sec-Fetch-Site takes precedence over Origin"
    );
}

#[tokio::test]
async fn an_http_1_0_request_without_a_host_is_421() {
    let app = start_app().await;
    let mut connection = Connection::open(app.admin_address.unwrap()).await;
    connection.write(b"GET /failures HTTP/1.0\r\n\r\n").await;
    assert_error(&connection.reply(false).await.unwrap(), 421, "MISDIRECTED_REQUEST", None);
}

#[tokio::test]
async fn the_public_listener_accepts_any_host() {
    let app = start_app().await;
    let reply = app.get("/healthz").host("anything.example").send().await;
    assert_eq!(reply.status, 200, "the proxy in front of the public listener checks host names");
}
