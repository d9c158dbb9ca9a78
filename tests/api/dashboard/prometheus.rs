//! A real Prometheus, in a folder and on a port of its own.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper that fails, fails its test")]

use std::{
    fs::{self, File},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Request, eventually};

/// Killed with the test.
pub(super) struct Prometheus {
    address: SocketAddr,
    child: Child,
    folder: TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    /// One that asks `gateway` four times a second, as the job that `docs/operations.md` shows.
    pub(super) async fn scraping(gateway: SocketAddr) -> Self {
        // A free port may be somebody else's by the time Prometheus takes it.
        let mut log = String::new();
        for _ in 0..5 {
            let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let folder = tempfile::tempdir().unwrap();
            let child = run(&folder, address, gateway);
            let mut prometheus = Self { address, child, folder };
            if prometheus.is_up().await {
                return prometheus;
            }
            log = fs::read_to_string(prometheus.folder.path().join("log")).unwrap();
        }
        panic!("Prometheus does not start: {log}");
    }

    /// Waits until it listens; `false` if it ended instead.
    async fn is_up(&mut self) -> bool {
        let mut ended = false;
        let settled = || {
            ended = self.child.try_wait().unwrap().is_some();
            let settled = ended || TcpStream::connect(self.address).is_ok();
            async move { settled }
        };
        eventually("Prometheus listens or has ended", settled).await;
        !ended
    }

    /// The series that the expression has now, each with its labels and its value.
    pub(super) async fn query(&self, expression: &str) -> Vec<Value> {
        let data = self.ask(&format!("query?query={}", encoded(expression))).await;
        data["result"].as_array().cloned().unwrap_or_default()
    }

    /// The values that a label has in the series of a selector.
    pub(super) async fn label_values(&self, label: &str, selector: &str) -> Vec<Value> {
        let data =
            self.ask(&format!("label/{label}/values?match%5B%5D={}", encoded(selector))).await;
        data.as_array().cloned().unwrap_or_default()
    }

    /// What it answers; nothing while it is not ready.
    async fn ask(&self, target: &str) -> Value {
        let reply = Request::new(self.address, "GET", &format!("/api/v1/{target}")).send().await;
        if reply.status == 503 {
            return Value::Null;
        }
        let answer = reply.json();
        assert_eq!(answer["status"], "success", "{target}: {answer}");
        answer["data"].clone()
    }
}

fn run(folder: &TempDir, own: SocketAddr, gateway: SocketAddr) -> Child {
    let configuration = format!(
        "global: {{ scrape_interval: 250ms, scrape_timeout: 250ms }}\nscrape_configs:\n  \
         - job_name: logout-gateway\n    static_configs: [{{ targets: [\"{gateway}\"] }}]\n"
    );
    fs::write(folder.path().join("prometheus.yml"), configuration).unwrap();
    let log = File::create(folder.path().join("log")).unwrap();
    let mut command = Command::new("prometheus");
    command.args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"]);
    command.arg(format!("--web.listen-address={own}")).current_dir(folder.path());
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
    child.unwrap_or_else(|cause| panic!("prometheus: {cause}; `make test` installs it"))
}

fn encoded(expression: &str) -> String {
    utf8_percent_encode(expression, NON_ALPHANUMERIC).to_string()
}
