//! `logout-gateway mock --gateway`: a gateway in front of the mock.

use std::{
    io::{BufRead as _, BufReader},
    net::{SocketAddr, TcpListener},
    process::Stdio,
};

use gotrue_mock::Tokens;
use rstest::rstest;
use serde_json::{Value, json};

use super::{mock, running_project::RunningProject, send};
use crate::harness::{Browser, CookieFormat, Request, assert_error, assert_success};

/// Signs up at the mock.
async fn sign_up(project: &RunningProject) -> Tokens {
    let body = json!({"email": "ada@example.com", "password": "secret-password-1"}).to_string();
    let session = project.request("POST", "/auth/v1/signup").body(body).send().await.json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let claims = crate::harness::claims_of(&text(&session["access_token"]));
    Tokens {
        user_id: text(&claims["sub"]).parse().unwrap(),
        session_id: text(&claims["session_id"]).parse().unwrap(),
        access_token: text(&session["access_token"]),
        refresh_token: text(&session["refresh_token"]),
    }
}

async fn sessions(project: &RunningProject) -> usize {
    project.request("GET", "/mock/sessions").send().await.json().as_array().unwrap().len()
}

/// A browser with the session's cookies and a page of this origin.
fn browser(project: &RunningProject, tokens: &Tokens, origin: &str) -> Browser {
    let gateway = project.address("GATEWAY_URL");
    let mut browser = Browser::signed_in_at(gateway, tokens, CookieFormat::Base64);
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    browser.headers = vec![header("Sec-Fetch-Site", "same-site"), header("Origin", origin)];
    browser
}

#[rstest]
#[case::a_development_server("http://127.0.0.1:5173")]
#[case::the_site("https://app.example.com")]
#[case::an_allowed_redirect("http://localhost:7777")]
#[tokio::test]
async fn a_page_of_the_app_signs_out(#[case] origin: &str) {
    let flags = [
        "--site-url",
        "https://app.example.com/start",
        "--redirect-url",
        "http://localhost:7777/in",
    ];
    let project = RunningProject::start(&[&["--gateway"], &flags[..]].concat());
    let tokens = sign_up(&project).await;
    let mut browser = browser(&project, &tokens, origin);
    let csrf = browser.fetch_csrf().await;
    assert_eq!((csrf.status, csrf.header("access-control-allow-origin")), (200, Some(origin)));
    let preflight = Request::new(browser.address, "OPTIONS", "/api/auth/logout")
        .header("Origin", origin)
        .header("Access-Control-Request-Method", "POST")
        .header("Access-Control-Request-Headers", "x-csrf-token");
    assert_eq!(preflight.send().await.header("access-control-allow-origin"), Some(origin));
    assert_eq!(sessions(&project).await, 1);
    let reply = browser.logout("/api/auth/logout").await;
    assert_success(&reply, "/api/auth/logout", tokens.user_id, "revoked");
    assert_eq!(reply.header("access-control-allow-origin"), Some(origin));
    assert_eq!(sessions(&project).await, 0);
    assert!(browser.jar.is_empty(), "{:?}", browser.jar.names());
}

#[rstest]
#[case("https://app.example.com")]
#[case("http://localhost.example.com:3000")]
#[case("http://localhost:3000.example.com")]
#[tokio::test]
async fn a_page_of_another_origin_cannot_sign_out(#[case] origin: &str) {
    let project = RunningProject::start(&["--gateway"]);
    let tokens = sign_up(&project).await;
    let mut other = browser(&project, &tokens, "http://localhost:3000");
    other.fetch_csrf().await;
    other.headers[1].1 = origin.to_owned();
    let reply = other.logout("/api/auth/logout").await;
    assert_error(&reply, 403, "CSRF_FAILED", Some("cross_site"));
    assert_eq!(reply.header("access-control-allow-origin"), None);
    assert_eq!(sessions(&project).await, 1);
}

#[rstest]
#[case::keys(&[])]
#[case::a_shared_secret(&["--alg", "HS256"])]
#[case::a_shared_secret_of_a_file(&["--alg", "HS256", "--signing-keys", "fixtures/gotrue/signing-keys.json"])]
#[case::another_issuer(&["--issuer", "https://auth.example.com"])]
#[case::no_issuer(&["--issuer", "none"])]
#[tokio::test]
async fn the_gateway_accepts_the_tokens_of_the_mock(#[case] flags: &[&str]) {
    let project = RunningProject::start(&[flags, &["--gateway"]].concat());
    let tokens = sign_up(&project).await;
    let verify = async || {
        let request = Request::new(project.address("GATEWAY_URL"), "GET", "/api/auth/verify");
        request.bearer(&tokens.access_token).send().await.status
    };
    assert_eq!(verify().await, 200);
    let advance = project.request("POST", "/mock/clock").body(r#"{"advance":"2h"}"#);
    assert_eq!(advance.send().await.status, 200);
    assert_eq!(verify().await, 401, "the gateway's clock is the mock's");
}

#[tokio::test]
async fn without_a_command_the_gateway_prints_its_url_and_stops_on_a_signal() {
    // The gateway's usual port is in use: by this test, or by another program of the machine.
    let _taken = TcpListener::bind("127.0.0.1:8080");
    let mut command = mock(&["--bind", "127.0.0.1:0", "--gateway"]);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let line = lines.find(|line| line.starts_with("the gateway listens on ")).unwrap();
    let address: SocketAddr = line.rsplit_once("http://").unwrap().1.parse().unwrap();
    assert_ne!(address.port(), 8080);
    assert_eq!(Request::new(address, "GET", "/healthz").send().await.status, 200);
    send("TERM", child.id());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_session_after_a_reset_is_not_taken_for_an_ended_one_of_the_same_seed() {
    let project = RunningProject::start(&["--gateway", "--seed", "7"]);
    let mut sessions = Vec::new();
    for _ in 0..2 {
        let tokens = sign_up(&project).await;
        let gateway = |method, path| {
            let request = Request::new(project.address("GATEWAY_URL"), method, path);
            request.bearer(&tokens.access_token).send()
        };
        assert_eq!(gateway("GET", "/api/auth/verify").await.status, 200);
        assert_eq!(gateway("POST", "/api/auth/logout").await.status, 200);
        sessions.push(tokens.session_id);
        assert_eq!(project.request("POST", "/mock/reset").send().await.status, 204);
    }
    assert_ne!(sessions[0], sessions[1]);
}
