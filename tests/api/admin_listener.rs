//! The admin listener has no authentication: it must refuse pages of other sites in the operator's
//! browser, by the host that they name and by `Sec-Fetch-Site`.

use rstest::rstest;
use serde_json::json;

use crate::harness::{Connection, Reply, Request, Setup, TestApp, assert_error};

const PATHS: [&str; 7] =
    ["/", "/metrics", "/queue", "/failures", "/healthz", "/readyz", "/no-such-path"];

async fn start_app() -> TestApp {
    let setup = Setup::new().flag("admin-bind", "127.0.0.1:0");
    setup.flag("admin-hosts", "Monitoring.example.com").start().await
}

fn admin(app: &TestApp, method: &str, target: &str) -> Request {
    Request::new(app.admin_address.unwrap(), method, target)
}

/// Asserts that a reply is the refusal and has nothing of what the listener knows.
#[track_caller]
fn assert_reveals_nothing(reply: &Reply, user: &str) {
    let all = format!("{:?} {}", reply.headers, reply.text());
    assert!(!all.contains(user) && !all.contains("logout_gateway_"), "{all}");
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert!(all.len() < 2000, "{all}");
}

#[rstest]
#[case::another_name("attacker.example")]
#[case::with_the_listeners_port("attacker.example:9090")]
#[case::that_ends_like_a_good_one("localhost.attacker.example")]
#[case::that_begins_like_an_address("127.0.0.1.attacker.example")]
#[case::below_the_configured_one("a.monitoring.example.com")]
#[case::empty("")]
#[case::more_than_an_address("[::1]evil")]
#[case::no_port("localhost:abc")]
#[case::a_port_that_is_too_large("127.0.0.1:99999")]
#[tokio::test]
async fn a_name_that_can_be_bound_again_is_421_at_each_path_and_learns_nothing(#[case] host: &str) {
    let app = start_app().await;
    let tokens = app.sign_up();
    app.inject_fault(json!({"operation": "logout", "kind": "status", "status": 500, "times": 1}));
    let logout = app.post("/logout").bearer(&tokens.access_token).send().await;
    assert_eq!(logout.status, 500, "the failure log has an entry with the user's id");
    let user = tokens.user_id.to_string();
    for path in PATHS {
        for method in ["GET", "POST", "OPTIONS"] {
            let reply = admin(&app, method, path).host(host).send().await;
            assert_error(&reply, 421, "MISDIRECTED_REQUEST", None);
            assert_reveals_nothing(&reply, &user);
        }
    }
    let metrics = admin(&app, "GET", "/metrics").send().await.text();
    let counted = r#"logout_gateway_requests_refused_total{reason="MISDIRECTED_REQUEST"} 21"#;
    assert!(metrics.contains(counted), "{metrics}");
}

#[tokio::test]
async fn the_target_of_a_request_counts_before_its_host() {
    let app = start_app().await;
    for path in PATHS {
        let target = format!("http://attacker.example{path}");
        let reply = admin(&app, "GET", &target).host("127.0.0.1").send().await;
        assert_error(&reply, 421, "MISDIRECTED_REQUEST", None);
    }
    let reply = admin(&app, "GET", "http://127.0.0.1/healthz").host("attacker.example");
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
async fn a_name_that_cannot_be_bound_again_is_answered(#[case] host: &str) {
    let app = start_app().await;
    for (path, status) in PATHS.iter().zip([200, 200, 200, 200, 200, 200, 404]) {
        assert_eq!(admin(&app, "GET", path).host(host).send().await.status, status, "{path}");
    }
}

#[tokio::test]
async fn a_page_of_another_site_is_403_at_each_path_and_learns_nothing() {
    let app = start_app().await;
    for path in PATHS {
        for site in ["cross-site", "same-site", "Same-Origin", "anything", ""] {
            let reply = admin(&app, "GET", path).header("Sec-Fetch-Site", site).send().await;
            assert_error(&reply, 403, "CSRF_FAILED", Some("cross_site"));
            assert_reveals_nothing(&reply, "user");
        }
        let two = [("Sec-Fetch-Site", "none"), ("Sec-Fetch-Site", "cross-site")];
        assert_eq!(admin(&app, "GET", path).headers(&two).send().await.status, 403);
    }
    for site in ["same-origin", "none"] {
        let reply = admin(&app, "GET", "/failures").header("Sec-Fetch-Site", site).send().await;
        assert_eq!(reply.status, 200, "{site}");
    }
}

#[tokio::test]
async fn a_foreign_origin_is_403_at_each_path_where_the_browser_says_nothing_else() {
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
                let reply = admin(&app, method, path).header("Origin", origin).send().await;
                assert_error(&reply, 403, "CSRF_FAILED", Some("cross_site"));
                assert_reveals_nothing(&reply, "user");
            }
        }
        let two = [("Origin", &*format!("http://{own}")), ("Origin", "https://attacker.example")];
        assert_eq!(admin(&app, "GET", path).headers(&two).send().await.status, 403);
    }
    for origin in [format!("http://{own}"), format!("https://{own}")] {
        let reply = admin(&app, "GET", "/queue").header("Origin", origin).send().await;
        assert_eq!(reply.status, 200, "its own, perhaps behind a proxy with TLS");
    }
    let by_name = admin(&app, "GET", "/queue").host("Monitoring.example.com");
    let by_name = by_name.header("Origin", "https://monitoring.example.com").send().await;
    assert_eq!(by_name.status, 200);
    let rewritten =
        [("Origin", "https://monitoring.example.com"), ("Sec-Fetch-Site", "same-origin")];
    let reply = admin(&app, "GET", "/queue").headers(&rewritten).send().await;
    assert_eq!(reply.status, 200, "a proxy may rewrite the host, and the browser knows better");
}

#[tokio::test]
async fn a_request_of_http_1_0_that_names_no_host_is_421() {
    let app = start_app().await;
    let mut connection = Connection::open(app.admin_address.unwrap()).await;
    connection.write(b"GET /failures HTTP/1.0\r\n\r\n").await;
    assert_error(&connection.reply(false).await.unwrap(), 421, "MISDIRECTED_REQUEST", None);
}

#[tokio::test]
async fn the_public_listener_answers_to_any_name() {
    let app = start_app().await;
    let reply = app.get("/healthz").host("anything.example").send().await;
    assert_eq!(reply.status, 200, "a proxy in front of it judges names");
}
