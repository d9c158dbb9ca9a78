//! The log of the real binary: one line of the target `audit` for each logout, and never a secret.

#![expect(clippy::unwrap_used, reason = "a helper that fails, fails its test")]

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::SocketAddr,
    process::{Child, ChildStderr, Command, Stdio},
    time::Duration,
};

use logout_gateway::{
    clock::Clock,
    mock::{TEST_SECRET, Tokens},
};
use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::{
    Connection, Form, Reply, Request, SECRET, Setup, Stage, claims_of, eventually, forged,
    session_cookies,
};

const API_KEY: &str = "sb_publishable_of_the_tests";
const K: &str = "sb-127-auth-token";
const PATIENCE: Duration = Duration::from_secs(20);

/// Killed with the test, which ends whoever reads its log.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `serve` with its log in a pipe.
struct Serving {
    process: Process,
    address: SocketAddr,
    log: BufReader<ChildStderr>,
    /// What was read of it.
    read: String,
}

impl Serving {
    /// Beside the stage's mock.
    async fn start(stage: &Stage, filter: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_logout-gateway"));
        command.arg("serve").env_clear().envs([
            ("SUPABASE_URL", stage.mock.url()),
            ("SUPABASE_PUBLISHABLE_KEY", API_KEY),
            ("SUPABASE_JWT_SECRET", TEST_SECRET),
            ("GATEWAY_SECRET", SECRET),
            ("GATEWAY_BIND", "127.0.0.1:0"),
            ("GATEWAY_ADMIN_BIND", "off"),
            ("GATEWAY_THREADS", "1"),
            ("RUST_LOG", filter),
        ]);
        let mut process = Process(command.stderr(Stdio::piped()).spawn().unwrap());
        let log = BufReader::new(process.0.stderr.take().unwrap());
        let listening = tokio::task::spawn_blocking(move || listening(log));
        let listening = tokio::time::timeout(PATIENCE, listening).await;
        let (address, log, read) = listening.expect("it listens").unwrap();
        let serving = Self { process, address, log, read };
        let ready = async || serving.request("GET", "/readyz").send().await.status == 200;
        eventually("ready", ready).await;
        serving
    }

    fn request(&self, method: &str, target: &str) -> Request {
        Request::new(self.address, method, target)
    }

    /// A CSRF token for these cookies.
    async fn csrf(&self, cookies: &[(String, String)]) -> String {
        let reply = self.request("GET", "/api/auth/csrf").cookies(cookies).send().await;
        reply.json()["data"]["csrf_token"].as_str().unwrap().to_owned()
    }

    /// A logout by cookie, with this `X-Request-Id`; the CSRF token that it took as well.
    async fn logout(&self, tokens: &Tokens, target: &str, id: &str) -> (Reply, String) {
        let (access, refresh) = (&tokens.access_token, &tokens.refresh_token);
        let mut cookies = session_cookies(K, access, refresh, Form::Base64);
        let csrf = self.csrf(&cookies).await;
        cookies.push(("sb-csrf-token".to_owned(), csrf.clone()));
        let request = self.request("POST", target).cookies(&cookies);
        let request = request.header("X-CSRF-Token", &csrf).header("X-Request-Id", id);
        (request.send().await, csrf)
    }

    fn terminate(&self) {
        let id = self.process.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    }

    /// Its whole log, once it has ended well.
    fn ended(mut self) -> Log {
        self.terminate();
        self.log.read_to_string(&mut self.read).unwrap();
        assert_eq!(self.process.0.wait().unwrap().code(), Some(0));
        let lines = self.read.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        Log { lines, text: self.read.clone() }
    }
}

/// Reads the log up to the line that names the address.
fn listening(mut log: BufReader<ChildStderr>) -> (SocketAddr, BufReader<ChildStderr>, String) {
    let mut read = String::new();
    loop {
        let from = read.len();
        assert_ne!(log.read_line(&mut read).unwrap(), 0, "{read}");
        let line: Value = serde_json::from_str(&read[from..]).unwrap();
        if line["message"] == "listening" {
            return (line["address"].as_str().unwrap().parse().unwrap(), log, read);
        }
    }
}

struct Log {
    lines: Vec<Value>,
    text: String,
}

impl Log {
    /// The only audit line of that request.
    #[track_caller]
    fn audit(&self, id: &str) -> &Value {
        let of_it = self.lines.iter().filter(|l| l["target"] == "audit" && l["request_id"] == id);
        let lines: Vec<&Value> = of_it.collect();
        assert_eq!(lines.len(), 1, "{id}: {lines:?}");
        lines[0]
    }

    #[track_caller]
    fn assert_without(&self, secrets: &[String]) {
        for secret in secrets {
            assert!(secret.len() > 8, "too short to tell: {secret}");
            let line = self.text.lines().find(|line| line.contains(secret));
            assert_eq!(line, None, "{secret}");
        }
    }
}

/// Everything of a token that must not be told: itself, and each part between its dots.
fn parts(token: &str) -> Vec<String> {
    [token].into_iter().chain(token.split('.')).map(str::to_owned).collect()
}

/// Everything of these tokens, and the user's e-mail.
fn secrets_of(tokens: &Tokens) -> Vec<String> {
    let email = claims_of(&tokens.access_token)["email"].as_str().unwrap().to_owned();
    [parts(&tokens.access_token), vec![tokens.refresh_token.clone(), email]].concat()
}

async fn stage() -> Stage {
    Setup::new().at(Clock::system().unix_seconds()).start().await
}

#[rstest]
#[case::as_usual("info")]
#[case::of_everything("trace")]
#[tokio::test]
async fn each_logout_is_one_line_and_no_line_tells_a_secret(#[case] filter: &str) {
    let stage = stage().await;
    let serving = Serving::start(&stage, filter).await;
    let mut secrets = [API_KEY, SECRET, TEST_SECRET].map(str::to_owned).to_vec();

    let good = stage.sign_up();
    let verify = serving.request("GET", "/api/auth/verify").bearer(&good.access_token);
    assert_eq!(verify.send().await.status, 200);
    let (reply, csrf) = serving.logout(&good, "/api/auth/logout", "the-good-one").await;
    assert_eq!(reply.status, 200);
    secrets.extend([secrets_of(&good), parts(&csrf)].concat());

    let failed = stage.sign_up();
    stage.fault(json!({"operation": "logout", "kind": "status", "status": 500, "times": 1,
        "code": "unexpected_failure", "headers": {"X-Upstream": "upstream-secret"}}));
    let (reply, csrf) = serving.logout(&failed, "/logout?scope=global", "the-failed-one").await;
    assert_eq!(reply.status, 500);
    secrets.extend([secrets_of(&failed), parts(&csrf)].concat());
    secrets.push("upstream-secret".to_owned());

    let mut claims = claims_of(&stage.sign_up().access_token);
    claims["email"] = json!("forged@example.com");
    let kid = jsonwebtoken::decode_header(&good.access_token).unwrap().kid.unwrap();
    let token = forged(&json!({"alg": "ES256", "kid": kid}).to_string(), &claims.to_string());
    let logout = serving.request("POST", "/api/v1/auth/logout").bearer(&token);
    assert_eq!(logout.header("X-Request-Id", "the-forged-one").send().await.status, 401);
    secrets.extend([parts(&token), vec!["forged@example.com".to_owned()]].concat());

    let mut expired = stage.sign_up();
    let mut claims = claims_of(&expired.access_token);
    claims["exp"] = json!(stage.time.now() - 10);
    expired.access_token = stage.mock.sign(&claims).unwrap();
    let (reply, csrf) = serving.logout(&expired, "/logout", "the-expired-one").await;
    assert_eq!(reply.status, 200);
    let refreshed = stage.calls("logout").pop().unwrap();
    let refreshed = refreshed.header("authorization").unwrap().trim_start_matches("Bearer ");
    secrets.extend([secrets_of(&expired), parts(&csrf), parts(refreshed)].concat());

    let log = serving.ended();
    for (id, route, scope, outcome, tokens) in [
        ("the-good-one", "/api/auth/logout", "local", "revoked", &good),
        ("the-failed-one", "/logout", "global", "failed", &failed),
        ("the-expired-one", "/logout", "local", "revoked", &expired),
    ] {
        let line = log.audit(id);
        assert_eq!(line["route"], route, "{line}");
        assert_eq!(line["scope"], scope, "{line}");
        assert_eq!(line["outcome"], outcome, "{line}");
        assert_eq!(line["user_id"], tokens.user_id.to_string(), "{line}");
        assert_eq!(line["session_id"], tokens.session_id.to_string(), "{line}");
        assert_eq!(line["level"], "INFO", "{line}");
    }
    let line = log.audit("the-forged-one");
    assert_eq!(
        (&line["route"], &line["outcome"]),
        (&json!("/api/v1/auth/logout"), &json!("refused"))
    );
    assert!(line["user_id"].is_null() && line["session_id"].is_null(), "of nobody proven: {line}");
    assert_eq!(log.lines.iter().filter(|line| line["target"] == "audit").count(), 4);

    let warnings = log.lines.iter().filter(|line| line["level"] == "WARN");
    let warned: Vec<_> =
        warnings.map(|line| (&line["request_id"], &line["status"], &line["code"])).collect();
    assert_eq!(warned, [(&json!("the-failed-one"), &json!(500), &json!("unexpected_failure"))]);
    assert!(log.text.contains("shutting down"), "the last lines are there too");
    log.assert_without(&secrets);
}

#[tokio::test]
async fn a_reader_of_the_log_who_stalls_stops_no_request_and_no_end() {
    let stage = stage().await;
    let mut serving = Serving::start(&stage, "info").await;
    let mut connection = Connection::open(serving.address).await;
    let logout = serving.request("POST", "/logout").header("X-Request-Id", "x".repeat(128));
    // Some 400 KiB of lines, while a pipe holds 64.
    let all = async {
        for _ in 0..1000 {
            connection.write(&logout.bytes(false)).await;
            assert_eq!(connection.reply(false).await.unwrap().status, 401);
        }
    };
    tokio::time::timeout(PATIENCE, all).await.expect("an answer to each");
    serving.terminate();
    eventually("it ends", || {
        let ended = serving.process.0.try_wait().unwrap();
        async move { ended.is_some_and(|status| status.success()) }
    })
    .await;
}
