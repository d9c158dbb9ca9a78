//! What docs/self-hosting.md says, with a real nginx between the gateway's binary and the GoTrue mock.

mod api_gateway;
mod egress_proxy;
mod private_ca;

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use gotrue_mock::Algorithm;
use logout_gateway::Clock;
use serde_json::json;

use crate::harness::{Setup, TestApp};

/// The URL that browsers use. No server answers there: the gateway must reach GoTrue by `GOTRUE_URL`.
const BROWSER_URL: &str = "https://supabase.example.com";

/// Starts a mock that signs with HS256, as the stock stack does, and that uses the system's time, as the
/// gateway's process does.
async fn start_gotrue() -> TestApp {
    start_gotrue_with_issuer(&format!("{BROWSER_URL}/auth/v1")).await
}

/// Like [`start_gotrue`], with another issuer. With an empty one, the mock writes no issuer into tokens, and it
/// publishes none, as GoTrue of before its OAuth server.
async fn start_gotrue_with_issuer(issuer: &str) -> TestApp {
    let setup = Setup::new().start_time(Clock::system().unix_seconds()).algorithm(Algorithm::Hs256);
    let no_document = json!({"operation": "openid_configuration", "kind": "status", "status": 404});
    let faults = if issuer.is_empty() { &[no_document][..] } else { &[] };
    setup.issuer(issuer).start_with_faults(faults).await
}

/// A command that runs nginx with this server block in `folder`, without root and as one process.
fn nginx(folder: &Path, server: &str) -> Command {
    let configuration = format!(
        "daemon off; master_process off; pid nginx.pid; events {{}}
        http {{
            access_log off;
            client_body_temp_path body; proxy_temp_path proxy;
            fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
            server {{ {server} }}
        }}"
    );
    fs::write(folder.join("nginx.conf"), configuration).unwrap();
    // Use the path of Debian's nginx, because /usr/sbin is not in the PATH of every user.
    let mut command = Command::new("/usr/sbin/nginx");
    command.args(["-e", "stderr", "-c", "nginx.conf", "-p"]).arg(folder);
    command
}

/// Runs `openssl` in `folder` and asserts that it succeeds.
fn openssl(folder: &Path, arguments: &str) {
    let mut command = Command::new("openssl");
    command.args(arguments.split(' ')).current_dir(folder).stdin(Stdio::null());
    let run = command.output().expect("openssl is installed");
    assert!(run.status.success(), "{arguments}: {}", String::from_utf8_lossy(&run.stderr));
}
