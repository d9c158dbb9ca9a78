//! The routes that need no credential: health, metrics and reports on the admin listener, and the documents.

use crate::harness::{Request, Setup, TestApp, assert_error};

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

/// The links of the page are relative, so a browser resolves them against the page's path.
#[tokio::test]
async fn the_page_of_the_documents_loads_its_files_with_and_without_a_slash() {
    let app = TestApp::new().await;
    for path in ["/docs", "/docs/"] {
        let docs = app.get(path).send().await;
        assert_eq!(docs.header("content-type"), Some("text/html; charset=utf-8"), "{path}");
        let page = docs.text();
        assert!(!page.contains("http"), "all files are the gateway's");
        let attributes = page.split("href=\"").flat_map(|part| part.split("src=\"")).skip(1);
        let links: Vec<&str> = attributes.map(|rest| rest.split('"').next().unwrap()).collect();
        assert_eq!(links.len(), 4, "{path}: {links:?}");
        let base = url::Url::parse(&format!("http://{}{path}", app.address)).unwrap();
        for link in links {
            let target = base.join(link).unwrap();
            let file = app.get(target.path()).send().await;
            assert_eq!(file.status, 200, "{path}: {target}");
        }
    }
    for unknown_path in ["/docs/nothing", "/docs/%ff", "/docs/%00", "/docs/%2e%2e%2f"] {
        assert_error(&app.get(unknown_path).send().await, 404, "NOT_FOUND", None);
    }
}

#[tokio::test]
async fn the_openapi_document_describes_every_route_and_its_responses() {
    let app = TestApp::new().await;
    let document = app.get("/openapi.json").send().await.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3."));
    for (path, method) in [
        ("/api/auth/logout", "post"),
        ("/api/v1/auth/logout", "post"),
        ("/logout", "post"),
        ("/logout/", "post"),
        ("/api/auth/csrf", "get"),
        ("/api/auth/verify", "get"),
        ("/healthz", "get"),
        ("/readyz", "get"),
    ] {
        assert!(document["paths"][path][method]["responses"].is_object(), "{method} {path}");
    }
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
