//! What `check` prints about the server at GoTrue's address: its release, and an API gateway that needs a key.

use axum::{
    Json, Router,
    http::{HeaderMap, StatusCode},
    routing::get,
};
use gotrue_mock::TEST_SECRET;
use rstest::rstest;
use serde_json::json;
use tokio::net::TcpListener;

use super::{API_KEY, check};

#[rstest]
#[case::release_before("v2.149.9", true)]
#[case::long_before("1.99.0", true)]
#[case::first_supported("v2.150.0", false)]
#[case::release_candidate("2.188.0-rc.15", false)]
#[case::next_major("v3.0.0", false)]
#[case::no_version("", false)]
#[case::not_a_version("development", false)]
#[tokio::test]
async fn an_old_gotrue_is_warned_of(#[case] version: &'static str, #[case] warned: bool) {
    let health = json!({"name": "GoTrue", "version": version});
    let routes = Router::new()
        .route("/auth/v1/health", get(async move || Json(health.clone())))
        .route("/auth/v1/.well-known/jwks.json", get(async || Json(json!({"keys": []}))));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let checking = move || check(&[("SUPABASE_URL", &url), ("SUPABASE_JWT_SECRET", TEST_SECRET)]);
    let checked = tokio::task::spawn_blocking(checking).await.unwrap();
    assert_eq!(checked.status, Some(0), "{:?}", checked.lines);
    assert_eq!(checked.warnings().contains(&"GOTRUE_URL"), warned, "{:?}", checked.lines);
}

/// Starts an API gateway that refuses requests without `API_KEY`. The server behind it calls itself `name`.
async fn start_api_gateway(name: &'static str) -> String {
    let guarded = move |headers: HeaderMap, answer: serde_json::Value| async move {
        match headers.get("apikey") {
            Some(key) if key == API_KEY => Ok(Json(answer)),
            _ => Err(StatusCode::UNAUTHORIZED),
        }
    };
    let routes = Router::new()
        .route("/auth/v1/health", get(move |headers| guarded(headers, json!({ "name": name }))))
        .route(
            "/auth/v1/.well-known/jwks.json",
            get(move |headers| guarded(headers, json!({ "keys": [] }))),
        );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    url
}

#[rstest]
#[case::right_key(
    API_KEY,
    "GoTrue",
    Some(0),
    "ok: an apikey is needed, and the configured one is accepted; "
)]
#[case::wrong_key(
    "another-key",
    "GoTrue",
    Some(1),
    "FAILED: status 401: check SUPABASE_PUBLISHABLE_KEY or SUPABASE_ANON_KEY"
)]
#[case::no_key(
    "",
    "GoTrue",
    Some(1),
    "FAILED: status 401: check SUPABASE_PUBLISHABLE_KEY or SUPABASE_ANON_KEY"
)]
#[case::another_server(
    API_KEY,
    "nginx",
    Some(1),
    "FAILED: another server than GoTrue answers at SUPABASE_URL"
)]
#[tokio::test]
async fn a_required_apikey_is_tested(
    #[case] key: &'static str,
    #[case] name: &'static str,
    #[case] status: Option<i32>,
    #[case] gotrue: &str,
) {
    let url = start_api_gateway(name).await;
    // `check` blocks its thread. It must not block this thread, which serves the API gateway.
    let checking = tokio::task::spawn_blocking(move || {
        check(&[
            ("SUPABASE_URL", &url),
            ("SUPABASE_ANON_KEY", key),
            ("SUPABASE_JWT_SECRET", TEST_SECRET),
        ])
    });
    let checked = checking.await.unwrap();
    assert_eq!(checked.status, status, "{:?}", checked.lines);
    assert!(checked.line("GoTrue").starts_with(gotrue), "{:?}", checked.lines);
}
