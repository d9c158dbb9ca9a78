//! The gateway behind servers that speak HTTP/2 without TLS, and in networks whose only way out is a proxy.

use std::{
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::harness::{
    Browser, CookieFormat, GatewayProcess, TestApp, assert_success, claims_of, gateway_binary,
};

/// Sends a request by HTTP/2 with prior knowledge; returns the status, the version and the body.
async fn by_http2(url: String, arguments: &[&str]) -> String {
    let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    let curl = move || {
        let mut command = Command::new("curl");
        command.args(["-sS", "--max-time", "20", "--http2-prior-knowledge"]);
        command.args(["-w", "\n%{http_code} %{http_version}"]).args(arguments).arg(url);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    tokio::task::spawn_blocking(curl).await.unwrap()
}

#[tokio::test]
async fn http2_with_prior_knowledge_is_served_on_both_listeners() {
    let app = TestApp::with_flags(&[("admin-bind", "127.0.0.1:0")]).await;
    let tokens = app.sign_up();
    let bearer = format!("Authorization: Bearer {}", tokens.access_token);
    let health = by_http2(format!("http://{}/readyz", app.admin_address.unwrap()), &[]).await;
    assert_eq!(health, "{\"status\":\"ok\"}\n200 2");
    let verify = format!("http://{}/api/auth/verify", app.address);
    assert_eq!(by_http2(verify.clone(), &["-H", &bearer]).await, "\n200 2");
    let logout = format!("http://{}/api/auth/logout", app.address);
    let reply = by_http2(logout, &["-X", "POST", "-H", &bearer]).await;
    assert_eq!(reply, "{\"data\":{\"success\":true}}\n200 2");
    assert!(!app.is_alive(&tokens));
    assert!(by_http2(verify, &["-H", &bearer]).await.ends_with("\n401 2"));
}

/// HTTP/2 has no `Host`, so the gateway's own origin is that of `:authority`. A client may send each cookie in a field
/// of its own (RFC 9113, section 8.2.3).
#[tokio::test]
async fn a_browser_logs_out_by_http2_with_its_cookies_in_several_fields_and_a_foreign_page_does_not()
 {
    let app = TestApp::new().await;
    let own = format!("http://{}", app.address);
    for (origin, is_own) in [("https://evil.example", false), (&own, true)] {
        let tokens = app.sign_up();
        let browser = Browser::signed_in(&app, &tokens, CookieFormat::Chunked).await;
        let csrf = format!("X-CSRF-Token: {}", browser.csrf_cookie().unwrap());
        let origin = format!("Origin: {origin}");
        let fields = browser.jar.cookies_for(browser.page).into_iter();
        let fields: Vec<_> =
            fields.map(|(name, value)| format!("Cookie: {name}={value}")).collect();
        assert!(fields.len() >= 3, "two chunks of the session and the CSRF cookie");
        let mut arguments = vec!["-X", "POST", "-H", &csrf, "-H", &origin];
        arguments.extend(fields.iter().flat_map(|field| ["-H", field]));
        let reply = by_http2(format!("{own}/api/auth/logout"), &arguments).await;
        if is_own {
            assert_eq!(reply, "{\"data\":{\"success\":true}}\n200 2");
        } else {
            assert!(reply.contains("cross_site") && reply.ends_with("\n403 2"), "{reply}");
            assert_eq!(app.gotrue_call_count(), 0);
        }
        assert_eq!(app.is_alive(&tokens), !is_own);
    }
}

/// HTTP/1.1 has a rule of its own for HEAD in hyper; HTTP/2 sends what the gateway responds.
#[tokio::test]
async fn an_error_in_response_to_head_by_http2_is_a_head_alone() {
    const HEADERS: u8 = 1;
    const END_STREAM: u8 = 1;
    let app = TestApp::new().await;
    let mut stream = TcpStream::connect(app.address).await.unwrap();
    // The preface, SETTINGS, and HEADERS of stream 1 with `HEAD /` at the host `a` (RFC 7541, appendix A).
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    stream.write_all(b"\0\0\x0b\x01\x05\0\0\0\x01\x42\x04HEAD\x86\x84\x41\x01a").await.unwrap();
    let response = async {
        loop {
            let mut head = [0; 9];
            stream.read_exact(&mut head).await.unwrap();
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            stream.read_exact(&mut payload).await.unwrap();
            if head[3] == HEADERS {
                return (head[4], payload);
            }
        }
    };
    let (flags, fields) = timeout(Duration::from_secs(20), response).await.unwrap();
    // Index 13 of the static table is `:status: 404`.
    assert_eq!(fields.first(), Some(&0x8d));
    assert_eq!(flags & END_STREAM, END_STREAM, "a body follows");
}

/// `GATEWAY_MAX_HEADER_BYTES` must also limit the heads of HTTP/2.
#[tokio::test]
async fn an_http2_request_with_a_head_beyond_the_limit_is_refused() {
    let app = TestApp::with_flags(&[("max-header-bytes", "8192")]).await;
    let long = format!("X-Long: {}", "x".repeat(20_000));
    let reply = by_http2(format!("http://{}/healthz", app.address), &["-H", &long]).await;
    assert!(reply.ends_with("431 2"), "{reply}");
    assert_eq!(app.get("/healthz").send().await.status, 200);
}

/// Starts a proxy that records the first line of each connection and passes everything on to `target`. Returns
/// its URL and these lines.
async fn start_proxy(target: String) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let lines = seen.clone();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let (lines, target) = (lines.clone(), target.clone());
            tokio::spawn(async move {
                let mut head = [0; 512];
                let read = client.read(&mut head).await.unwrap();
                let text = String::from_utf8_lossy(&head[..read]).into_owned();
                lines.lock().unwrap().push(text.lines().next().unwrap_or_default().to_owned());
                let mut server = TcpStream::connect(target).await.unwrap();
                server.write_all(&head[..read]).await.unwrap();
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (url, seen)
}

#[tokio::test]
async fn all_requests_to_gotrue_go_through_the_egress_proxy() {
    let app = TestApp::new().await;
    let (proxy, seen) = start_proxy(app.mock.url().trim_start_matches("http://").to_owned()).await;
    let gateway = GatewayProcess::start(
        &app,
        &[("SUPABASE_URL", "http://supabase.invalid"), ("GATEWAY_EGRESS_PROXY", &proxy)],
    )
    .await;
    let tokens = app.sign_up();
    let mut claims = claims_of(&tokens.access_token);
    claims["iss"] = "http://supabase.invalid/auth/v1".into();
    let token = app.mock.sign(&claims).unwrap();
    let reply = gateway.request("POST", "/logout").bearer(&token).send().await;
    assert_success(&reply, "/logout", tokens.user_id, "revoked");
    assert!(!app.is_alive(&tokens));
    let lines = seen.lock().unwrap().clone();
    assert!(
        !lines.is_empty() && lines.iter().all(|l| l.contains("http://supabase.invalid/")),
        "{lines:?}"
    );
}

/// The gateway must not use it, because the environment's proxies are meant for other programs.
#[tokio::test]
async fn a_proxy_of_the_environment_is_not_used_and_the_log_says_what_to_set() {
    let app = TestApp::new().await;
    let (proxy, seen) = start_proxy(app.mock.url().trim_start_matches("http://").to_owned()).await;
    let gateway = GatewayProcess::start(&app, &[("HTTPS_PROXY", &proxy)]).await;
    let tokens = app.sign_up();
    gateway.request("POST", "/logout").bearer(&tokens.access_token).send().await;
    assert!(!app.is_alive(&tokens) && seen.lock().unwrap().is_empty());
    let log = gateway.stop();
    let names_setting = |line: &serde_json::Value| {
        line["level"] == "WARN" && line["message"].to_string().contains("GATEWAY_EGRESS_PROXY")
    };
    assert!(log.lines.iter().any(names_setting), "{}", log.text);
}

#[tokio::test]
async fn if_the_egress_proxy_is_down_the_log_and_check_name_it() {
    let app = TestApp::new().await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let proxy = format!("http://{closed}");
    let gateway = GatewayProcess::start(&app, &[("GATEWAY_EGRESS_PROXY", &proxy)]).await;
    let tokens = app.sign_up();
    gateway.request("POST", "/logout").bearer(&tokens.access_token).send().await;
    assert!(app.is_alive(&tokens));
    let log = gateway.stop();
    let names_proxy = |line: &serde_json::Value| {
        let message = line["message"].to_string();
        message.contains("the gateway cannot connect to GoTrue")
            && message.contains("GATEWAY_EGRESS_PROXY")
    };
    assert!(log.lines.iter().any(names_proxy), "{}", log.text);
    let mut check = Command::new(gateway_binary());
    check.arg("check").env_clear().env("SUPABASE_URL", app.mock.url());
    let checked = check.env("GATEWAY_EGRESS_PROXY", &proxy).output().unwrap();
    let output = String::from_utf8(checked.stdout).unwrap();
    let line = output.lines().find(|line| line.starts_with("GoTrue: ")).unwrap();
    assert!(line.contains("FAILED") && line.contains("GATEWAY_EGRESS_PROXY"), "{line}");
}

/// Each of these headers must cause one warning, unless `GATEWAY_TRUSTED_PROXIES` has the address of the sender.
#[tokio::test]
async fn a_proxy_that_is_not_trusted_causes_one_warning_even_if_another_proxy_is_trusted() {
    let app = TestApp::new().await;
    for header in ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port"] {
        for (trusted, warnings) in [("", 1), ("10.0.0.1", 1), ("127.0.0.0/8", 0)] {
            let gateway =
                GatewayProcess::start(&app, &[("GATEWAY_TRUSTED_PROXIES", trusted)]).await;
            for _ in 0..2 {
                gateway.request("GET", "/healthz").header(header, "443").send().await;
            }
            let log = gateway.stop();
            let of_proxy = log.lines.iter().filter(|line| {
                line["level"] == "WARN" && line["variable"] == "GATEWAY_TRUSTED_PROXIES"
            });
            assert_eq!(of_proxy.count(), warnings, "{header} {trusted}: {}", log.text);
        }
    }
}
