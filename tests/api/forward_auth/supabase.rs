//! The nginx locations of docs/proxies/supabase.md, with the mock as GoTrue, and a recording server in place of
//! the servers behind Kong.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
};

use gotrue_mock::Tokens;
use serde_json::json;

use super::{
    proxy::{documented, nginx_with},
    recorder::Recorder,
};
use crate::harness::{
    CookieFormat, Reply, Request, ServerProcess, TestApp, assert_success, leak_check,
    session_cookies,
};

const PUBLISHABLE_KEY: &str = "sb_publishable_of-the_stack";
/// A path of each server for whose requests nginx asks the gateway.
const CHECKED: [&str; 5] = [
    "/rest/v1/notes?select=id",
    "/graphql/v1",
    "/storage/v1/object/private/a.png",
    "/functions/v1/hello",
    "/realtime/v1/api/broadcast",
];
/// Paths that nginx and Kong, or nginx and Envoy, read in different ways.
const AMBIGUOUS: [&str; 9] = [
    "/auth/v1/../../rest/v1/notes",
    "/auth/v1/%2e%2E/rest/v1/notes",
    "/functions/v1/hello%2F..%2F..%2F..%2Fauth/v1/",
    "/functions/v1/hello/x%2f..%2f..%2f..%2f..%2fauth/v1/",
    "/storage/v1/object/list/bucket;%2F..%2F..%2F..%2F..%2F..%2Fauth/v1/",
    "/functions/v1/hello/////../../../auth/v1/",
    "/api/auth/verify/x%2F..%2F..%2Flogout",
    "/rest//v1/notes",
    "//rest/v1/notes",
];

/// Starts nginx with the text of the page, which names the gateway's and Kong's addresses.
async fn start_nginx(gateway: SocketAddr, kong: SocketAddr, anon_key: &str) -> ServerProcess {
    let shown = |after| documented("docs/proxies/supabase.md", "nginx", after);
    let (maps, locations) = (shown("`http` block"), shown("`server` block"));
    let command = |folder: &std::path::Path, own| {
        let text = format!("{maps} server {{ listen {own}; {locations} }}");
        let text = text.replace("<ANON_KEY>", anon_key);
        let text = text.replace("<SUPABASE_PUBLISHABLE_KEY>", PUBLISHABLE_KEY);
        let text = text.replace("127.0.0.1:8080", &gateway.to_string());
        nginx_with(folder, &text.replace("127.0.0.1:8000", &kong.to_string()))
    };
    ServerProcess::start("nginx", command).await
}

/// Starts a stand-in for Kong, which sends `/auth/v1` to the mock and everything else to `servers`.
async fn start_kong(app: &TestApp, servers: &Recorder) -> ServerProcess {
    let (gotrue, servers) = (app.mock.url(), servers.address);
    let command = |folder: &std::path::Path, own| {
        let text = format!(
            "server {{ listen {own}; large_client_header_buffers 4 128k;
            location /auth/v1/ {{ proxy_pass {gotrue}; }}
            location / {{ proxy_pass http://{servers}; }} }}"
        );
        nginx_with(folder, &text)
    };
    ServerProcess::start("nginx", command).await
}

struct Stack {
    app: TestApp,
    anon_key: String,
    servers: Recorder,
    _kong: ServerProcess,
    nginx: ServerProcess,
}

impl Stack {
    async fn start() -> Self {
        let app = TestApp::with_flags(&[("trusted-proxies", "127.0.0.1")]).await;
        let anon_key = app.mock.sign(&json!({"role": "anon", "exp": 4_000_000_000_u64})).unwrap();
        let servers = Recorder::api();
        let kong = start_kong(&app, &servers).await;
        let nginx = start_nginx(app.address, kong.address, &anon_key).await;
        Self { app, anon_key, servers, _kong: kong, nginx }
    }

    /// A request with the header `apikey`, as supabase-js sends it.
    fn request(&self, method: &str, target: &str) -> Request {
        self.request_without_key(method, target).header("apikey", &self.anon_key)
    }

    fn request_without_key(&self, method: &str, target: &str) -> Request {
        Request::new(self.nginx.address, method, target)
    }

    /// Asserts that the request reaches the servers behind Kong, with this credential and no other.
    async fn assert_passes(&self, request: Request, authorization: &[&str], case: &str) {
        let before = self.servers.count();
        let reply = request.send().await;
        assert_eq!((reply.status, &*reply.text()), (200, "from the API"), "{case}: {reply:?}");
        assert_eq!(self.servers.count(), before + 1, "{case}");
        let received = self.servers.last();
        assert_eq!(received.header_values("authorization"), authorization, "{case}");
        assert!(received.cookies().is_empty(), "{case}");
    }

    /// Asserts that nginx refuses the request, and that a page of another origin can read the response.
    async fn assert_refused(&self, request: Request, status: u16, case: &str) {
        let before = self.servers.count();
        let reply = request.send().await;
        assert_eq!(reply.status, status, "{case}: {reply:?}");
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"), "{case}");
        assert!(reply.json()["message"].is_string(), "{case}: {reply:?}");
        assert_eq!(self.servers.count(), before, "{case}");
    }

    /// Asks GoTrue for a session, as supabase-js does for a sign-in and a refresh.
    async fn token(&self, grant: &str, body: serde_json::Value) -> Reply {
        let target = format!("/auth/v1/token?grant_type={grant}");
        let request = self.request("POST", &target).bearer(&self.anon_key);
        request.header("Content-Type", "application/json").body(body.to_string()).send().await
    }
}

fn bearer(tokens: &Tokens) -> String {
    format!("Bearer {}", tokens.access_token)
}

#[tokio::test]
async fn after_a_logout_no_server_behind_kong_gets_the_token_and_the_user_can_sign_in_again() {
    let stack = Stack::start().await;
    stack.app.mock.create_user("ada@example.com", "password");
    for _ in 0..2 {
        let password = json!({"email": "ada@example.com", "password": "password"});
        let reply = stack.token("password", password).await;
        let refreshed = json!({"refresh_token": reply.json()["refresh_token"]});
        let reply = stack.token("refresh_token", refreshed).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let access_token = reply.json()["access_token"].as_str().unwrap().to_owned();
        leak_check::record_secret(access_token.as_bytes());
        let authorization = format!("Bearer {access_token}");
        let api = |method, target| stack.request(method, target).bearer(&access_token);
        for target in CHECKED {
            let request = api("POST", target).cookies(&[("sb-127-auth-token", "another")]);
            stack.assert_passes(request, &[&authorization], target).await;
            assert_eq!(stack.servers.last().line(), format!("POST {target}"));
            assert_eq!(stack.servers.last().header_values("apikey"), [&stack.anon_key]);
        }
        let user = api("GET", "/auth/v1/user").send().await;
        let user_id = user.json()["id"].as_str().unwrap().parse().unwrap();
        let logout = api("POST", "/api/auth/logout").send().await;
        assert_success(&logout, "/api/auth/logout", user_id, "revoked");
        for target in CHECKED {
            for method in ["GET", "POST", "OPTIONS"] {
                stack.assert_refused(api(method, target), 401, target).await;
            }
        }
        assert_eq!(api("GET", "/auth/v1/user").send().await.status, 403, "GoTrue itself refuses");
    }
}

#[tokio::test]
async fn requests_without_a_users_token_pass() {
    let stack = Stack::start().await;
    let anon = format!("Bearer {}", stack.anon_key);
    let publishable = format!("Bearer {PUBLISHABLE_KEY}");
    for target in CHECKED {
        for key in [&anon, &publishable] {
            let request = stack.request("GET", target).header("Authorization", key);
            stack.assert_passes(request, &[key], target).await;
        }
        for method in ["GET", "OPTIONS"] {
            stack.assert_passes(stack.request_without_key(method, target), &[], target).await;
        }
    }
}

#[tokio::test]
async fn an_ended_session_does_not_pass_by_another_header_or_path() {
    let stack = Stack::start().await;
    let (ended, live) = (stack.app.sign_up(), stack.app.sign_up());
    let logout = stack.request("POST", "/logout").bearer(&ended.access_token).send().await;
    assert_success(&logout, "/logout", ended.user_id, "revoked");
    let token = &*ended.access_token;
    let service_role = stack.app.mock.sign(&json!({"role": "service_role"})).unwrap();
    let (access, refresh) = (&live.access_token, &live.refresh_token);
    let jar = session_cookies("sb-127-auth-token", access, refresh, CookieFormat::Base64);
    for target in CHECKED {
        let anon_in_lower_case = format!("bearer {}", stack.anon_key);
        let both = format!("Bearer {} {token}", stack.anon_key);
        let service = format!("Bearer {service_role}");
        for value in [token, &bearer(&ended), &anon_in_lower_case, &both, &service, "Basic YTpi"] {
            let request = stack.request("GET", target).header("Authorization", value);
            stack.assert_refused(request.cookies(&jar), 401, &format!("{target} {value}")).await;
        }
        let request = stack.request_without_key("GET", target).header("apikey", token);
        stack.assert_passes(request, &[], target).await;
        assert!(stack.servers.last().header_values("apikey").is_empty(), "{target}");
        let request = stack.request_without_key("GET", target).bearer(&live.access_token);
        stack.assert_passes(request.header("apikey", token), &[&bearer(&live)], target).await;
        assert!(stack.servers.last().header_values("apikey").is_empty(), "{target}");
    }
    let before = stack.servers.count();
    for target in AMBIGUOUS {
        let reply = stack.request("GET", target).bearer(token).send().await;
        assert_eq!(reply.status, 400, "{target}");
    }
    let mut client = TcpStream::connect(stack.nginx.address).unwrap();
    let head = "GET /auth/v1/#/../../rest/v1/notes HTTP/1.1\r\nHost: a\r\n";
    client.write_all(format!("{head}Authorization: Bearer {token}\r\n\r\n").as_bytes()).unwrap();
    assert!(read_head(&mut client).starts_with("http/1.1 400 "));
    for target in [
        "/",
        "/pg/tables",
        "/mcp",
        "/_session",
        "/storage/v1/s3/x",
        "/storage/v1/%733/x",
        "/realtime/v1/longpoll",
        "/realtime/v1/websocket/",
    ] {
        let reply = stack.request("GET", target).bearer(&live.access_token).send().await;
        assert_eq!(reply.status, 404, "{target}");
    }
    assert_eq!(stack.servers.count(), before);
    for target in ["/storage/v1/object/b/.emptyFolderPlaceholder", "/rest/v1/n?select=a/../b%2Fc//"]
    {
        let request = stack.request("GET", target).bearer(&live.access_token);
        stack.assert_passes(request, &[&bearer(&live)], target).await;
    }
}

#[tokio::test]
async fn while_the_gateway_is_stopped_no_token_passes_and_users_can_sign_in() {
    let stack = Stack::start().await;
    let tokens = stack.app.sign_up();
    stack.app.stop_gateway();
    let request = stack.request("GET", CHECKED[0]).bearer(&tokens.access_token);
    stack.assert_refused(request, 503, "the gateway is stopped").await;
    stack.assert_passes(stack.request_without_key("GET", CHECKED[0]), &[], "no token").await;
    let refresh = json!({"refresh_token": tokens.refresh_token});
    assert_eq!(stack.token("refresh_token", refresh).await.status, 200);
}

/// Starts a server that answers one request by 101, sends back the first octets after that, and then returns the
/// request's head.
fn start_echo() -> (SocketAddr, thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let served = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let head = read_head(&mut client);
        let answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n";
        client.write_all(format!("{answer}Upgrade: websocket\r\n\r\n").as_bytes()).unwrap();
        let mut octets = [0; 4];
        client.read_exact(&mut octets).unwrap();
        client.write_all(&octets).unwrap();
        head
    });
    (address, served)
}

fn read_head(stream: &mut TcpStream) -> String {
    let (mut head, mut octet) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut octet).unwrap();
        head.push(octet[0]);
    }
    String::from_utf8(head).unwrap().to_lowercase()
}

#[tokio::test]
async fn a_websocket_reaches_realtime_without_credentials_in_headers() {
    let (kong, served) = start_echo();
    let nginx = start_nginx(kong, kong, "anon").await;
    let mut client = TcpStream::connect(nginx.address).unwrap();
    let head = "GET /realtime/v1/websocket?apikey=anon&vsn=1.0.0 HTTP/1.1\r\nHost: a\r\nUpgrade: WebSocket\r\n\
                Connection: Upgrade\r\nCookie: a=b\r\nAuthorization: Bearer x\r\n\r\n";
    client.write_all(head.as_bytes()).unwrap();
    assert!(read_head(&mut client).starts_with("http/1.1 101 "));
    client.write_all(b"ping").unwrap();
    let mut echo = [0; 4];
    client.read_exact(&mut echo).unwrap();
    assert_eq!(&echo, b"ping");
    let received = served.join().unwrap();
    assert!(
        received.starts_with("get /realtime/v1/websocket?apikey=anon&vsn=1.0.0 "),
        "{received}"
    );
    assert!(received.contains("\r\nupgrade: websocket\r\nconnection: upgrade\r\n"), "{received}");
    for name in ["cookie", "authorization"] {
        assert!(!received.contains(&format!("\r\n{name}:")), "{received}");
    }
}

#[tokio::test]
async fn no_other_upgrade_reaches_the_servers() {
    // Not the stand-in for Kong, which passes no upgrade on.
    let servers = Recorder::api();
    let nginx = start_nginx(servers.address, servers.address, "anon").await;
    for target in [&CHECKED[..], &["/realtime/v1/websocket", "/auth/v1/user"]].concat() {
        let request = Request::new(nginx.address, "GET", target).header("Upgrade", "h2c");
        let reply = request.header("Connection", "Upgrade").send().await;
        assert_eq!(reply.status, 200, "{target}: {reply:?}");
        assert_eq!(servers.last().line(), format!("GET {target}"));
        assert!(servers.last().header_values("upgrade").is_empty(), "{target}");
    }
}
