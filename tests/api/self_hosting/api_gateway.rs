//! The gateway behind the API gateway of a self-hosted stack. nginx takes the place of Kong, which is built on
//! nginx: it has the same limits for heads, requires the key that the stack's routes require, and adds the
//! headers that Kong adds.

use std::{fs, net::SocketAddr, path::Path};

use gotrue_mock::{TEST_SECRET, Tokens};
use rstest::rstest;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{BROWSER_URL, nginx, start_gotrue, start_gotrue_with_issuer};
use crate::{
    check::check,
    forward_auth::with_large_token,
    harness::{
        CookieFormat, GatewayProcess, Request, ServerProcess, TestApp, assert_error,
        assert_success, claims_of, eventually, leak_check, session_cookies,
    },
};

const ANON_KEY: &str = "the-anon-key-of-the-stack";
/// The default of `large_client_header_buffers` in nginx, and so in Kong.
const DEFAULT_LIMIT: &str = "4 8k";
/// The cookie that supabase-js names after [`BROWSER_URL`].
const COOKIE: &str = "sb-supabase-auth-token";

/// Starts a stand-in for Kong in front of the mock, which accepts heads up to `limit` and answers longer ones with
/// `refusal`.
async fn start_kong(app: &TestApp, limit: &str, refusal: u16) -> ServerProcess {
    // Kong removes the prefix /auth/v1, because GoTrue's paths do not have it. The mock's paths have it, so nginx
    // keeps it.
    let server = |own: SocketAddr| {
        format!(
            r#"listen {own};
            client_header_buffer_size 1k;
            large_client_header_buffers {limit};
            error_page 494 ={refusal} @too_large;
            location @too_large {{ return {refusal} '{{"message":"Bad request"}}'; }}
            location /auth/v1/ {{
                add_header Via kong/2.8.1 always;
                if ($http_apikey = "") {{
                    add_header WWW-Authenticate 'Key realm="kong"' always;
                    return 401 '{{"message":"No API key found in request"}}';
                }}
                if ($http_apikey != "{ANON_KEY}") {{
                    return 401 '{{"message":"Invalid authentication credentials"}}';
                }}
                proxy_http_version 1.1;
                proxy_set_header Connection keep-alive;
                proxy_set_header X-Real-IP $remote_addr;
                proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
                proxy_set_header X-Forwarded-Proto $scheme;
                proxy_set_header X-Forwarded-Host $host;
                proxy_set_header X-Forwarded-Prefix /auth/v1;
                proxy_set_header X-Consumer-Username anon;
                proxy_pass {}/auth/v1/;
            }}
            location / {{ return 404 '{{"message":"no Route matched with those values"}}'; }}"#,
            app.mock.url()
        )
    };
    ServerProcess::start("nginx", |folder, own| nginx(folder, &server(own))).await
}

/// The address of GoTrue through Kong.
fn gotrue_url(kong: &ServerProcess) -> String {
    format!("http://{}/auth/v1", kong.address)
}

/// The variables of docs/self-hosting.md, and those in `changes`. An empty value is that of no variable.
fn environment<'e>(gotrue_url: &'e str, changes: &[(&'e str, &'e str)]) -> Vec<(&'e str, &'e str)> {
    let documented = [
        ("SUPABASE_URL", BROWSER_URL),
        ("GOTRUE_URL", gotrue_url),
        ("SUPABASE_ANON_KEY", ANON_KEY),
        ("SUPABASE_PUBLISHABLE_KEY", ""),
    ];
    [&documented[..], changes].concat()
}

async fn start_gateway(
    app: &TestApp,
    kong: &ServerProcess,
    changes: &[(&str, &str)],
) -> GatewayProcess {
    GatewayProcess::start(app, &environment(&gotrue_url(kong), changes)).await
}

/// Signs a new user in through Kong, as supabase-js does.
async fn sign_in(app: &TestApp, kong: &ServerProcess) -> Tokens {
    let email = format!("{}@example.com", Uuid::new_v4());
    let user_id = app.mock.create_user(&email, "password");
    let request = Request::new(kong.address, "POST", "/auth/v1/token?grant_type=password");
    let request = request.headers(&[("apikey", ANON_KEY), ("Content-Type", "application/json")]);
    let reply = request.body(json!({"email": email, "password": "password"}).to_string()).send();
    let reply = reply.await;
    assert_eq!((reply.status, reply.header("via")), (200, Some("kong/2.8.1")), "{reply:?}");
    let member = |name: &str| reply.json()[name].as_str().unwrap().to_owned();
    let access_token = member("access_token");
    let session_id = claims_of(&access_token)["session_id"].as_str().unwrap().parse().unwrap();
    let refresh_token = member("refresh_token");
    let tokens = Tokens { user_id, session_id, access_token, refresh_token };
    leak_check::record_session(&tokens);
    tokens
}

#[rstest]
#[case::issuer_of_today("https://supabase.example.com/auth/v1")]
#[case::issuer_of_may_2026(BROWSER_URL)]
#[case::no_issuer_as_before_may_2026("")]
#[tokio::test]
async fn sessions_are_verified_and_ended_through_kong(
    #[case] issuer: &str,
    #[values(TEST_SECRET, "")] jwt_secret: &str,
) {
    let app = start_gotrue_with_issuer(issuer).await;
    let kong = start_kong(&app, DEFAULT_LIMIT, 400).await;
    let gateway = start_gateway(&app, &kong, &[("SUPABASE_JWT_SECRET", jwt_secret)]).await;
    let by_bearer = sign_in(&app, &kong).await;
    assert_eq!(claims_of(&by_bearer.access_token)["iss"].as_str().unwrap_or_default(), issuer);
    let verify = || gateway.request("GET", "/api/auth/verify").bearer(&by_bearer.access_token);
    let reply = verify().send().await;
    assert_eq!(reply.header("x-auth-user-id"), Some(&*by_bearer.user_id.to_string()), "{reply:?}");
    let logout = gateway.request("POST", "/logout").bearer(&by_bearer.access_token);
    let reply = logout.header("User-Agent", "a browser").send().await;
    assert_success(&reply, "/logout", by_bearer.user_id, "revoked");
    assert_error(&verify().send().await, 401, "NOT_AUTHENTICATED", Some("revoked"));
    let call = app.gotrue_calls("logout").pop().unwrap();
    for (name, value) in [("apikey", ANON_KEY), ("user-agent", "a browser")] {
        assert_eq!(call.header(name), Some(value), "{name}");
    }

    // The cookie has the name that supabase-js makes of the browser's URL, not of Kong's.
    let by_cookie = sign_in(&app, &kong).await;
    let (access, refresh) = (&by_cookie.access_token, &by_cookie.refresh_token);
    let jar = session_cookies(COOKIE, access, refresh, CookieFormat::Base64);
    let csrf = gateway.request("GET", "/api/auth/csrf").cookies(&jar).send().await;
    let csrf = csrf.json()["data"]["csrf_token"].as_str().unwrap().to_owned();
    let jar = [jar, vec![("sb-csrf-token".to_owned(), csrf.clone())]].concat();
    let logout = gateway.request("POST", "/logout").cookies(&jar).header("X-CSRF-Token", csrf);
    assert_success(&logout.send().await, "/logout", by_cookie.user_id, "revoked");
    assert!(!app.is_alive(&by_bearer) && !app.is_alive(&by_cookie));
}

#[rstest]
#[case::issuer_of_today(
    "https://supabase.example.com/auth/v1",
    "https://supabase.example.com/auth/v1"
)]
#[case::issuer_of_may_2026(BROWSER_URL, BROWSER_URL)]
#[case::no_issuer_as_before_may_2026("", "GoTrue publishes none")]
#[tokio::test]
async fn check_succeeds_through_kong_and_has_no_warning_about_an_issuer_of_the_stack(
    #[case] issuer: &str,
    #[case] shown: &str,
) {
    let app = start_gotrue_with_issuer(issuer).await;
    let kong = start_kong(&app, DEFAULT_LIMIT, 400).await;
    let gotrue_url = gotrue_url(&kong);
    for (jwt_secret, warnings) in
        [(TEST_SECRET, &["GATEWAY_STORE"][..]), ("", &["GATEWAY_STORE", "SUPABASE_JWT_SECRET"])]
    {
        let checked = check(&environment(&gotrue_url, &[("SUPABASE_JWT_SECRET", jwt_secret)]));
        assert_eq!(checked.status, Some(0), "{:?} {}", checked.lines, checked.stderr);
        let gotrue = checked.line("GoTrue");
        let accepted = "ok: an apikey is needed, and the configured one is accepted; ";
        assert!(gotrue.starts_with(accepted), "{gotrue}");
        assert_eq!(checked.line("issuer"), format!("ok: {shown}"));
        assert_eq!(checked.warnings(), warnings, "{:?}", checked.lines);
    }
}

#[tokio::test]
async fn a_logout_is_queued_while_gotrue_behind_kong_is_down_and_retried_through_kong() {
    let app = start_gotrue().await;
    let kong = start_kong(&app, DEFAULT_LIMIT, 400).await;
    let directory = tempfile::tempdir().unwrap();
    let store = format!("file:{}", directory.path().join("store.redb").display());
    let gateway = start_gateway(&app, &kong, &[("GATEWAY_STORE", &store)]).await;
    let tokens = sign_in(&app, &kong).await;
    app.inject_fault(json!({"operation": "logout", "kind": "status", "status": 503, "times": 2}));
    let reply = gateway.request("POST", "/logout").bearer(&tokens.access_token).send().await;
    assert_eq!((reply.status, reply.header("x-logout-outcome")), (202, Some("queued")));
    let ended = async || !app.is_alive(&tokens);
    eventually("the worker has ended the session through Kong", ended).await;
    let all_have_key =
        app.gotrue_calls("logout").iter().all(|call| call.header("apikey") == Some(ANON_KEY));
    assert!(all_have_key, "Kong requires the key for retries too");
}

#[tokio::test]
async fn without_the_key_kong_refuses_the_logout_and_the_log_names_the_variable() {
    let app = start_gotrue().await;
    let kong = start_kong(&app, DEFAULT_LIMIT, 400).await;
    for key in ["", "another-key"] {
        let gateway = start_gateway(&app, &kong, &[("SUPABASE_ANON_KEY", key)]).await;
        let tokens = sign_in(&app, &kong).await;
        let reply = gateway.request("POST", "/logout").bearer(&tokens.access_token).send().await;
        assert_error(&reply, 500, "LOGOUT_FAILED", Some("auth_service_error"));
        assert!(app.is_alive(&tokens));
        let warning = warning(gateway);
        assert_eq!(warning["status"], 401);
        assert!(warning["advice"].to_string().contains("SUPABASE_ANON_KEY"), "{warning}");
    }
}

/// The log's warning about a logout that Kong refused.
fn warning(gateway: GatewayProcess) -> Value {
    let log = gateway.stop();
    let is_warning = |line: &&Value| line["operation"] == "logout" && line["level"] == "WARN";
    let found = log.lines.iter().find(is_warning);
    found.unwrap_or_else(|| panic!("no warning: {}", log.text)).clone()
}

/// The value that docs/self-hosting.md gives to Kong's `large_client_header_buffers`.
fn documented_limit() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/self-hosting.md");
    let page = fs::read_to_string(path).unwrap();
    let variable = "KONG_NGINX_PROXY_LARGE_CLIENT_HEADER_BUFFERS=\"";
    let (_, value) = page.split_once(variable).expect("docs/self-hosting.md names the variable");
    value.split('"').next().unwrap().to_owned()
}

// Some releases of Kong answer with 494, nginx's internal status for this error.
#[rstest]
#[case::kong_with_400(400)]
#[case::kong_with_494(494)]
#[tokio::test]
async fn a_large_token_is_refused_by_kongs_limit_and_passes_the_documented_one(
    #[case] refusal: u16,
) {
    let app = start_gotrue().await;
    let kong = start_kong(&app, DEFAULT_LIMIT, refusal).await;
    let tokens = with_large_token(&app, &sign_in(&app, &kong).await);
    let gateway = start_gateway(&app, &kong, &[]).await;
    let reply = gateway.request("POST", "/logout").bearer(&tokens.access_token).send().await;
    assert_error(&reply, 500, "LOGOUT_FAILED", Some("auth_service_error"));
    assert!(app.is_alive(&tokens) && app.gotrue_calls("logout").is_empty());
    let warning = warning(gateway);
    assert_eq!(warning["status"], refusal);
    let advice = warning["advice"].to_string();
    assert!(advice.contains("raise that proxy's limit for request heads"), "{advice}");

    let kong = start_kong(&app, &documented_limit(), refusal).await;
    let gateway = start_gateway(&app, &kong, &[]).await;
    let reply = gateway.request("POST", "/logout").bearer(&tokens.access_token).send().await;
    assert_success(&reply, "/logout", tokens.user_id, "revoked");
    assert!(!app.is_alive(&tokens));
}
