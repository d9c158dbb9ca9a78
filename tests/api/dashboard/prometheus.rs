//! A real Prometheus that a test starts in its own directory and on its own port.

#![expect(clippy::unwrap_used, reason = "a helper that panics makes its test fail, as it should")]

use std::{fs, net::SocketAddr, path::Path, process::Command};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::harness::{Request, ServerProcess};

/// A Prometheus process, which is killed at the end of the test.
pub(super) struct Prometheus(ServerProcess);

impl Prometheus {
    /// Starts a Prometheus that scrapes `gateway` four times a second, with the job that `docs/monitoring.md`
    /// shows.
    pub(super) async fn start(gateway: SocketAddr) -> Self {
        Self(ServerProcess::start("prometheus", |folder, own| command(folder, own, gateway)).await)
    }

    /// The series that the query `expression` returns now, each with its labels and its value.
    pub(super) async fn query(&self, expression: &str) -> Vec<Value> {
        let data = self.get_data(&format!("query?query={}", encoded(expression))).await;
        data["result"].as_array().cloned().unwrap_or_default()
    }

    /// The values of the label `label` in the series that `selector` selects.
    pub(super) async fn label_values(&self, label: &str, selector: &str) -> Vec<Value> {
        let data =
            self.get_data(&format!("label/{label}/values?match%5B%5D={}", encoded(selector))).await;
        data.as_array().cloned().unwrap_or_default()
    }

    /// The member `data` of Prometheus' response, or null while Prometheus is not ready.
    async fn get_data(&self, target: &str) -> Value {
        let reply = Request::new(self.0.address, "GET", &format!("/api/v1/{target}")).send().await;
        if reply.status == 503 {
            return Value::Null;
        }
        let answer = reply.json();
        assert_eq!(answer["status"], "success", "{target}: {answer}");
        answer["data"].clone()
    }
}

fn command(folder: &Path, own: SocketAddr, gateway: SocketAddr) -> Command {
    let configuration = format!(
        "global: {{ scrape_interval: 250ms, scrape_timeout: 250ms }}\nscrape_configs:\n  \
         - job_name: logout-gateway\n    static_configs: [{{ targets: [\"{gateway}\"] }}]\n"
    );
    fs::write(folder.join("prometheus.yml"), configuration).unwrap();
    let mut command = Command::new("prometheus");
    command.args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"]);
    command.arg(format!("--web.listen-address={own}")).current_dir(folder);
    command
}

fn encoded(expression: &str) -> String {
    utf8_percent_encode(expression, NON_ALPHANUMERIC).to_string()
}
