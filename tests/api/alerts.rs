//! The alert rules of `deploy/prometheus`: each alert fires on its condition, uses existing metrics and has a
//! runbook.

use std::{collections::BTreeSet, fs, path::PathBuf, process::Command};

use crate::harness::{Request, Setup};

fn repository_path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read_file(name: &str) -> String {
    fs::read_to_string(repository_path(name)).unwrap()
}

/// The names of all alerts in `alerts.yml`.
fn alerts() -> Vec<String> {
    let rules = read_file("deploy/prometheus/alerts.yml");
    let names = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    names.map(str::to_owned).collect()
}

#[test]
fn every_alert_fires_on_its_condition_and_only_then() {
    let files =
        ["alerts.test.yml", "alerts.week.test.yml"].map(|name| format!("deploy/prometheus/{name}"));
    let mut promtool = Command::new("promtool");
    promtool.args(["test", "rules"]).args(files.each_ref().map(|name| repository_path(name)));
    let run = promtool.output().expect("promtool is installed");
    let output = [run.stdout, run.stderr].concat();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&output));
    let tests = files.map(|name| read_file(&name)).concat();
    for alert in alerts() {
        assert!(tests.contains(&format!(r#"alertname="{alert}""#)), "{alert} fires in no test");
    }
}

#[test]
fn every_alert_has_a_runbook() {
    let rules = read_file("deploy/prometheus/alerts.yml");
    let runbooks = read_file("docs/alerts.md");
    for rule in rules.split("- alert: ").skip(1) {
        assert!(rule.contains(" summary: \"") && rule.contains(" description: \""), "{rule}");
    }
    for alert in alerts() {
        let runbook = format!("runbook: docs/alerts.md#{}\n", alert.to_lowercase());
        assert!(rules.contains(&runbook), "{alert} does not link to its runbook");
        assert!(
            runbooks.contains(&format!("\n### {alert}\n")),
            "docs/alerts.md has no section {alert}"
        );
    }
}

#[tokio::test]
async fn every_metric_of_an_alert_exists() {
    let app = Setup::new().flag("admin-bind", "127.0.0.1:0").start().await;
    let reply = Request::new(app.admin_address.unwrap(), "GET", "/metrics").send().await;
    let exposed = reply.text();
    let rules = read_file("deploy/prometheus/alerts.yml");
    let words = rules.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let used_metrics: BTreeSet<&str> =
        words.filter(|word| word.starts_with("logout_gateway_")).collect();
    assert!(used_metrics.len() >= 10, "{used_metrics:?}");
    for name in used_metrics {
        assert!(
            exposed.contains(&format!("\n{name}{{")) || exposed.contains(&format!("\n{name} ")),
            "{name}"
        );
    }
}
