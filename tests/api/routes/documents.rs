//! The routes that need no credential: health, metrics and reports on the admin listener, and the documents.

use std::{collections::BTreeSet, sync::Arc};

use aws_lc_rs::digest::{SHA256, digest};
use axum::Router;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use logout_gateway::{
    Config,
    internals::{failure_log, gateway::state, http::router, store::memory::MemoryStore},
};

use crate::harness::{Request, START_TIME, Setup, TestApp, TestClock, assert_error};

#[tokio::test]
async fn health_and_documents_need_no_credential_and_a_slash_at_the_end_changes_nothing() {
    let app = Setup::new().flag("admin-bind", "127.0.0.1:0").start().await;
    let (public, admin) = (app.address, app.admin_address.unwrap());
    let ready = r#"{"status":"ok"}"#;
    for (address, path, start) in [
        (public, "/healthz", ready),
        (public, "/readyz", ready),
        (admin, "/healthz", ready),
        (admin, "/readyz", ready),
        (admin, "/metrics", "# HELP "),
        (admin, "/queue", r#"{"waiting":0"#),
        (admin, "/failures", r#"{"failures":["#),
        (public, "/openapi.json", "{\n  \"openapi\": \"3."),
    ] {
        let get = async |path: &str| Request::new(address, "GET", path).send().await;
        let (reply, with_slash) = (get(path).await, get(&format!("{path}/")).await);
        assert_eq!((reply.status, with_slash.status), (200, 200), "{path}");
        assert_eq!(reply.header("content-type"), with_slash.header("content-type"), "{path}");
        assert!(reply.text().starts_with(start), "{path}: {}", reply.text());
        // The process's own numbers in the metrics change from one request to the next.
        if path == "/metrics" {
            assert!(
                with_slash.text().starts_with(start) && with_slash.text().contains("build_info")
            );
        } else {
            assert_eq!(with_slash.text(), reply.text(), "{path}");
        }
    }
    assert_error(&Request::new(admin, "POST", "/logout").send().await, 404, "NOT_FOUND", None);
}

/// The hash of the page's style, as a Content-Security-Policy names it.
fn style_hash(page: &str) -> String {
    let (_, style) = page.split_once("<style>").unwrap();
    let (style, _) = style.split_once("</style>").unwrap();
    format!("'sha256-{}'", BASE64_STANDARD.encode(digest(&SHA256, style.as_bytes())))
}

#[tokio::test]
async fn the_page_of_the_documents_may_use_its_own_style_and_loads_nothing() {
    let app = TestApp::new().await;
    for path in ["/docs", "/docs/"] {
        let docs = app.get(path).send().await;
        assert_eq!(docs.header("content-type"), Some("text/html; charset=utf-8"), "{path}");
        let page = docs.text();
        let policy = docs.header("content-security-policy").unwrap();
        let directives: Vec<&str> = policy.split("; ").collect();
        let own_style = format!("style-src {}", style_hash(&page));
        for directive in ["default-src 'none'", &own_style, "frame-ancestors 'none'"] {
            assert!(directives.contains(&directive), "{directive}: {policy}");
        }
        assert!(!policy.contains("script-src") && !policy.contains("unsafe"), "{policy}");
        for foreign in ["<script", " src=", "style=", "url(", "@import", "href=\"http"] {
            assert!(!page.contains(foreign), "{foreign}");
        }
        assert!(page.contains(r#"href="/openapi.json""#));
        // Every link within the page leads to an element of it.
        let anchors: Vec<&str> =
            page.split("href=\"#").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        assert!(anchors.len() > 20, "{anchors:?}");
        for anchor in anchors {
            assert_eq!(page.matches(&format!(" id=\"{anchor}\"")).count(), 1, "{anchor}");
        }
    }
    for unknown_path in ["/docs/nothing", "/docs//", "/docs/%ff", "/docs/%00", "/docs/%2e%2e%2f"] {
        assert_error(&app.get(unknown_path).send().await, 404, "NOT_FOUND", None);
    }
}

/// The paths of the public router. axum has no function that lists them, but the router's `Debug` has each path after
/// the id of its route.
fn routed_paths(config: Config) -> BTreeSet<String> {
    let clock = TestClock::starting_at(START_TIME).to_clock();
    let (failures, _) = failure_log::channel();
    let app = state::first(config, clock, Arc::new(MemoryStore::default()), failures).unwrap();
    let router = format!("{:?}", router::public(Arc::new(app), Router::new()));
    let (own_routes, _) = router.split_once("fallback_router").unwrap();
    let entries = own_routes.split("RouteId(").filter_map(|entry| entry.split_once("): \"/"));
    entries.map(|(_, path)| format!("/{}", path.split('"').next().unwrap())).collect()
}

#[test]
fn every_route_of_clients_is_traced_by_its_own_name() {
    let setup = Setup::new().flag("supabase-url", "http://127.0.0.1:9");
    for path in routed_paths(setup.config()) {
        let is_for_clients = path.starts_with("/api/") || path.starts_with("/logout");
        let expected = is_for_clients.then_some(path.as_str());
        assert_eq!(router::route_of_clients(&path), expected, "{path}");
    }
    for (path, route) in [
        ("/api/auth/verify/a/b", Some("/api/auth/verify/{*path}")),
        ("/api/auth/verifyx", None),
        ("/api/auth/logout/x", None),
        ("/logoutx", None),
    ] {
        assert_eq!(router::route_of_clients(path), route, "{path}");
    }
}

#[tokio::test]
async fn the_openapi_document_has_exactly_the_routes_of_the_router() {
    let app = TestApp::new().await;
    let document = app.get("/openapi.json").send().await.json();
    let mut described = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys().map(|method| method.to_uppercase()) {
            let reply = app.request(&method, path).send().await;
            assert!(![404, 405].contains(&reply.status), "{method} {path}: {}", reply.status);
            described.insert((path.clone(), method));
        }
    }
    let setup = Setup::new().flag("supabase-url", app.mock.url());
    let paths = routed_paths(setup.config());
    assert!(paths.len() > described.len(), "{paths:?}");
    for path in paths {
        // The description has each path without the slash at its end, and verify without the paths below it.
        let path = path.trim_end_matches("{*path}").trim_end_matches('/').to_owned();
        let reply = app.request("BREW", &path).send().await;
        // verify takes any method, and its description says so.
        let allowed = reply.header("allow").unwrap_or("GET");
        for method in allowed.split(',').filter(|method| *method != "HEAD") {
            let route = (path.clone(), method.to_owned());
            assert!(described.contains(&route), "{route:?} is not among {described:?}");
        }
    }
}

#[tokio::test]
async fn the_openapi_document_describes_the_responses() {
    let app = TestApp::new().await;
    let document = app.get("/openapi.json").send().await.json();
    let form = &document["paths"]["/logout"]["post"]["requestBody"];
    assert!(form["content"]["application/x-www-form-urlencoded"].is_object());
    assert_ne!(form["required"], true, "scripts send no body");
    let details = &document["components"]["schemas"]["ErrorDetails"];
    let required = details["required"].as_array().unwrap();
    for (member, always) in [
        ("code", true),
        ("reason", false),
        ("message", true),
        ("request_id", true),
        ("since", false),
    ] {
        assert!(details["properties"][member].is_object(), "{member}");
        assert_eq!(required.iter().any(|name| name == member), always, "{member}");
    }
    let responses = &document["paths"]["/api/auth/logout"]["post"]["responses"];
    for status in ["200", "400", "401", "403", "413", "415", "429", "500", "503"] {
        assert!(responses[status].is_object(), "{status}");
    }
    let responses = &document["paths"]["/api/auth/verify"]["get"]["responses"];
    let identity: &[&str] = &[
        "X-Auth-Aal",
        "X-Auth-Anonymous",
        "X-Auth-Carrier",
        "X-Auth-Client-Id",
        "X-Auth-Role",
        "X-Auth-Session-Id",
        "X-Auth-User-Id",
    ];
    for (status, named) in [
        ("200", identity),
        ("302", &["Location", "X-Auth-Reason"]),
        ("401", &["X-Auth-Reason"]),
        ("503", &[]),
    ] {
        assert!(responses[status].is_object(), "{status}");
        let headers = responses[status]["headers"].as_object();
        let mut names: Vec<&str> = headers.into_iter().flatten().map(|(name, _)| &**name).collect();
        names.sort_unstable();
        assert_eq!(names, named, "{status}");
    }
}
