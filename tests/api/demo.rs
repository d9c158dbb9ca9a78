//! The command `demo` of the real binary, which must ignore environment variables for another gateway.

#![expect(clippy::unwrap_used, reason = "a helper that panics makes its test fail, as it should")]

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    process::{Child, Command, Stdio},
};

use reqwest::{Client, Response, redirect};
use rstest::rstest;
use serde_json::Value;

/// A running demo, whose process is killed at the end of the test.
struct Demo {
    process: Child,
    /// The lines that the demo has printed so far.
    printed: Vec<String>,
}

impl Demo {
    fn start(bind: &str) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_logout-gateway"))
            .args(["demo", "--bind", bind])
            .env_clear()
            .env("SUPABASE_URL", "http://evil.invalid")
            .env("GATEWAY_SECRET", "short")
            .env("GATEWAY_BIND", "DoNotBind")
            .env("GATEWAY_COOKIE_NAME", "evil")
            .env("RUST_LOG", "=")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        let mut lines = stdout.lines().map(Result::unwrap);
        let mut printed: Vec<_> =
            lines.by_ref().take_while(|line| !line.contains("Ctrl-C")).collect();
        printed.retain(|line| !line.is_empty());
        Self { process, printed }
    }

    /// The first word after `prefix` in the printed line that starts with `prefix`.
    fn printed_after(&self, prefix: &str) -> &str {
        let line = self.printed.iter().find_map(|line| line.strip_prefix(prefix)).unwrap();
        line.split_whitespace().next().unwrap()
    }

    fn page(&self) -> &str {
        self.printed_after("The page")
    }

    fn gotrue(&self) -> &str {
        self.printed_after("GoTrue")
    }

    /// The curl commands that the demo has printed.
    fn commands(&self) -> Vec<&str> {
        let commands = self.printed.iter().filter(|line| line.contains("curl -"));
        commands.map(String::as_str).collect()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn get(url: &str) -> Response {
    let client = Client::builder().no_proxy().redirect(redirect::Policy::none()).build().unwrap();
    client.get(url).send().await.unwrap()
}

/// The port of an origin such as `http://127.0.0.1:8080`, as text.
fn port(url: &str) -> &str {
    url.trim_end_matches('/').rsplit(':').next().unwrap()
}

#[rstest]
#[case("", "text/html; charset=utf-8")]
#[case("demo.css", "text/css; charset=utf-8")]
#[case("demo.js", "text/javascript; charset=utf-8")]
#[case("demo-session.js", "text/javascript; charset=utf-8")]
#[case("demo-view.js", "text/javascript; charset=utf-8")]
#[case("logout-gateway-client.js", "text/javascript; charset=utf-8")]
#[case("demo.json", "application/json")]
#[tokio::test]
async fn the_page_loads_nothing_from_other_servers(#[case] path: &str, #[case] kind: &str) {
    let demo = Demo::start("127.0.0.1:0");
    let answer = get(&format!("{}{path}", demo.page())).await;
    assert_eq!(answer.status(), 200);
    let header = |name| answer.headers().get(name).unwrap().to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), kind);
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' {}; \
         img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        demo.gotrue()
    );
    assert_eq!(header("content-security-policy"), policy);
    let text = answer.text().await.unwrap().replace(demo.gotrue(), "");
    assert!(
        !text.contains("http:") && !text.contains("https:") && !text.contains("\"//"),
        "{text}"
    );
    assert!(
        !text.contains("innerHTML") && !text.contains(" style=") && !text.contains(" onclick=")
    );
}

#[tokio::test]
async fn the_page_gets_its_settings() {
    let demo = Demo::start("127.0.0.1:0");
    let answer = get(&format!("{}demo.json", demo.page())).await.text().await.unwrap();
    let settings: Value = serde_json::from_str(&answer).unwrap();
    // The demo must use its own settings and not those in the environment.
    assert_eq!(settings["cookie_name"], "sb-127-auth-token");
    assert_eq!(settings["gotrue"], format!("{}/auth/v1", demo.gotrue()));
    assert_eq!(settings["user"]["email"], demo.printed_after("A user").trim_end_matches(','));
    let page = get(demo.page()).await.text().await.unwrap();
    for file in ["demo.css", "demo.js", "docs"] {
        assert!(page.contains(&format!("\"{file}\"")), "{file}");
        let found = get(&format!("{}{file}", demo.page())).await;
        assert_eq!(found.status(), 200, "{file}");
    }
}

#[test]
fn the_printed_commands_work_when_pasted() {
    let demo = Demo::start("127.0.0.1:0");
    let [sign_in, log_out, try_again] = demo.commands()[..] else {
        panic!("not three commands: {:?}", demo.printed);
    };
    let list_sessions = format!("curl -sS {}/mock/sessions; echo", demo.gotrue());
    let commands = [sign_in, &list_sessions, log_out, &list_sessions, try_again].join("\n");
    let run = Command::new("sh").args(["-c", &commands]).output().unwrap();
    assert_eq!(String::from_utf8(run.stderr).unwrap(), "");
    let out = String::from_utf8(run.stdout).unwrap();

    let mut printed = out.lines();
    assert_eq!(printed.next().unwrap().split('.').count(), 3, "{out}");
    let before: Vec<Value> = serde_json::from_str(printed.next().unwrap()).unwrap();
    assert_eq!(before.len(), 1);
    assert_eq!(printed.next(), Some("HTTP/1.1 200 OK"), "{out}");
    let logged_out: Vec<_> = printed.by_ref().take_while(|line| *line != "[]").collect();
    assert!(logged_out.contains(&"x-logout-outcome: revoked"), "{out}");
    assert_eq!(logged_out.last(), Some(&r#"{"data":{"success":true}}"#), "{out}");
    // The printed line before the next one must be `[]`, the mock's list of sessions, because the logout has
    // ended the session.
    assert_eq!(printed.next(), Some("HTTP/1.1 401 Unauthorized"), "{out}");
    assert!(printed.next_back().unwrap().contains(r#""reason":"revoked""#), "{out}");
}

#[test]
fn a_port_in_use_is_replaced_by_another() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let bind = taken.local_addr().unwrap();
    let first = Demo::start(&bind.to_string());
    assert_ne!(port(first.page()), bind.port().to_string());
    let line = format!("port {} is taken, using {}", bind.port(), port(first.page()));
    assert!(first.printed.contains(&line), "{:?}", first.printed);

    let second = Demo::start("127.0.0.1:0");
    assert_ne!(first.gotrue(), second.gotrue());
    let replaced = [&first, &second].into_iter().find(|demo| port(demo.gotrue()) != "9999");
    let replaced = replaced.unwrap();
    let line = format!("port 9999 is taken, using {}", port(replaced.gotrue()));
    assert!(replaced.printed.contains(&line), "{:?}", replaced.printed);
}

#[rstest]
fn a_signal_ends_the_demo(#[values("TERM", "INT")] signal: &str) {
    let mut demo = Demo::start("127.0.0.1:0");
    let pid = demo.process.id().to_string();
    assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
    assert_eq!(demo.process.wait().unwrap().code(), Some(0));
}

#[test]
fn the_demo_accepts_only_addresses_of_loopback() {
    let run = Command::new(env!("CARGO_BIN_EXE_logout-gateway"))
        .args(["demo", "--bind", "0.0.0.0:0"])
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(2));
    assert!(String::from_utf8(run.stderr).unwrap().contains("not an address of loopback"));
}
