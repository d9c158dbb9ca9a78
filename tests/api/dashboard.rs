//! The dashboard of `deploy/grafana`: a real Prometheus has data for every query, a panel shows every metric,
//! and every panel has a description.

mod prometheus;

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::{Value, json};

use self::prometheus::Prometheus;
use crate::{
    harness::{Browser, CookieFormat, Request, Setup, TestApp, eventually},
    queue::start_with_file_store,
};

/// Panels whose values may stay at zero, because the test causes no store errors and no overload, and the
/// gateway fetches the key set only once.
const MAY_BE_ZERO: [&str; 6] = [
    "Store errors",
    "Overloaded",
    "503 responses of verify",
    "In flight",
    "Fetches of the key set",
    "CPU",
];

fn read_file(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

fn dashboard() -> Value {
    serde_json::from_str(&read_file("deploy/grafana/logout-gateway.json")).unwrap()
}

/// The dashboard's panels and the headings of its rows.
fn panels_and_headings() -> Vec<Value> {
    dashboard()["panels"].as_array().unwrap().clone()
}

fn panels() -> Vec<Value> {
    let panels: Vec<Value> =
        panels_and_headings().into_iter().filter(|it| it["type"] != "row").collect();
    assert!(panels.len() >= 20, "{}", panels.len());
    panels
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("no {field}: {value}"))
}

fn targets(panel: &Value) -> &[Value] {
    panel["targets"].as_array().unwrap()
}

/// The anchors of `docs/alerts.md` to which the panel's description links.
fn anchors(panel: &Value) -> Vec<&str> {
    let parts = text(panel, "description").split("docs/alerts.md#").skip(1);
    parts.map(|part| part.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap()).collect()
}

/// Each alert as the anchor of its runbook, with the text of its rule.
fn alerts() -> Vec<(String, String)> {
    let rules = read_file("deploy/prometheus/alerts.yml");
    let rules = rules.split("- alert: ").skip(1);
    rules.map(|rule| (rule.lines().next().unwrap().to_lowercase(), rule.to_owned())).collect()
}

/// Causes every event that a panel shows; one of the events leaves a logout in the queue.
async fn cause_every_event(app: &TestApp) {
    let log_out = async |token: &str| app.post("/logout").bearer(token).send().await.status;
    let inject_failure = |fault: Value| {
        let mut all = json!({"operation": "logout", "kind": "status", "times": 1});
        all.as_object_mut().unwrap().extend(fault.as_object().unwrap().clone());
        app.inject_fault(all);
    };
    let tokens = app.sign_up();
    assert_eq!(app.verify(&tokens).await, 200);
    assert_eq!(log_out(&tokens.access_token).await, 200, "revoked");
    assert_eq!(log_out(&tokens.access_token).await, 200, "already ended");
    assert_eq!(app.verify(&tokens).await, 401);
    assert_eq!(app.post("/logout?scope=all").send().await.status, 400);
    for _ in 0..2 {
        assert_eq!(log_out("x.y.z").await, 401);
    }
    let browser = Browser::signed_in_without_csrf(app, &app.sign_up(), CookieFormat::Base64);
    assert_eq!(browser.request("POST", "/logout").send().await.status, 403);
    let banned = app.sign_up();
    assert!(app.mock.ban_user(banned.user_id));
    assert_eq!(log_out(&banned.access_token).await, 500);

    let queued = app.sign_up();
    inject_failure(json!({"status": 503, "times": 2}));
    assert_eq!(log_out(&queued.access_token).await, 202);
    app.advance_time(2);
    eventually("the queued logout is done", async || !app.is_alive(&queued)).await;
    inject_failure(json!({"status": 429, "headers": {"Retry-After": "600"}}));
    assert_eq!(log_out(&app.sign_up().access_token).await, 202);
    app.advance_time(100);
}

/// The query of a panel as Grafana sends it if the user has selected all instances.
fn expression(target: &Value) -> String {
    let text = text(target, "expr");
    let (selectors, instance_selectors) =
        (text.matches('{').count(), text.matches(r#"instance=~"$instance""#));
    assert_eq!(
        instance_selectors.count(),
        selectors,
        "a selector without the variable `instance`: {text}"
    );
    let text = text.replace("$__rate_interval", "1m").replace("$instance", ".*");
    assert!(!text.contains('$'), "an unknown variable: {text}");
    text
}

/// Returns whether at least one series has a value that the panel draws: above zero, or any value if
/// `may_be_zero` is true. Asserts that each series has the labels that the panel's legend shows.
fn has_value_to_draw(series: &[Value], target: &Value, may_be_zero: bool) -> bool {
    let names = text(target, "legendFormat").split("{{").skip(1);
    for label in names.map(|part| part.split("}}").next().unwrap()) {
        assert!(series.iter().all(|one| one["metric"][label].is_string()), "{label}: {target}");
    }
    let value = |one: &Value| one["value"][1].as_str().unwrap().parse::<f64>().unwrap();
    let mut values = series.iter().map(value).filter(|value| value.is_finite());
    values.any(|value| may_be_zero || value > 0.0)
}

#[tokio::test]
async fn every_query_has_data_after_prometheus_scraped_a_busy_gateway() {
    let (app, _directory) = start_with_file_store(Setup::new()).await;
    let prometheus = Prometheus::start(app.admin_address.unwrap()).await;
    let wait_for_data = async |expression| {
        eventually(expression, async || !prometheus.query(expression).await.is_empty()).await;
    };
    wait_for_data("count_over_time(logout_gateway_queue_oldest_seconds[1m]) > 1").await;
    let panels = panels();
    let share = panels.iter().find(|panel| panel["title"] == "Success share").unwrap();
    let share = prometheus.query(&expression(&targets(share)[0])).await;
    assert!(share.is_empty(), "without logouts there is no share: {share:?}");

    cause_every_event(&app).await;
    wait_for_data("logout_gateway_queue_oldest_seconds == 100").await;
    for panel in &panels {
        let title = text(panel, "title");
        let may_be_zero = MAY_BE_ZERO.contains(&title);
        for target in targets(panel) {
            let expression = expression(target);
            let condition = format!("data of {title}: {expression}");
            let has_data = async || {
                has_value_to_draw(&prometheus.query(&expression).await, target, may_be_zero)
            };
            eventually(&condition, has_data).await;
        }
    }

    let variables = dashboard()["templating"]["list"].take();
    let instance = variables.as_array().unwrap().iter().find(|it| it["name"] == "instance");
    let query = text(&instance.unwrap()["query"], "query");
    let arguments = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
    let (selector, label) = arguments.unwrap().rsplit_once(", ").unwrap();
    let choice = prometheus.label_values(label, selector).await;
    assert_eq!(choice, [json!(app.admin_address.unwrap().to_string())], "{query}");
}

#[tokio::test]
async fn every_metric_is_on_the_dashboard() {
    let app = Setup::new().flag("admin-bind", "127.0.0.1:0").start().await;
    let reply = Request::new(app.admin_address.unwrap(), "GET", "/metrics").send().await;
    let panels = panels();
    let expressions = panels.iter().flat_map(targets).map(|target| text(target, "expr"));
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let used_metrics: BTreeSet<&str> =
        expressions.flat_map(|expression| expression.split(|c| !is_of_name(c))).collect();
    let exposed = reply.text();
    let types = exposed.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let families: Vec<(&str, &str)> = types.map(|line| line.split_once(' ').unwrap()).collect();
    assert!(families.len() >= 15, "{families:?}");
    for (name, kind) in families {
        let bucket = format!("{name}_bucket");
        let name = if kind == "histogram" { &bucket } else { name };
        assert!(used_metrics.contains(name), "{name} is on no panel");
    }
}

#[test]
fn every_panel_has_a_description_and_every_alert_a_panel_that_links_to_it() {
    let runbooks = read_file("docs/alerts.md");
    let headings = runbooks.lines().filter_map(|line| line.strip_prefix("### "));
    let known: BTreeSet<String> = headings.map(str::to_lowercase).collect();
    let panels = panels();
    for panel in &panels {
        assert_ne!(text(panel, "description"), "", "{panel}");
        let source = json!({"type": "prometheus", "uid": "${datasource}"});
        assert_eq!(panel["datasource"], source, "{panel}");
        for anchor in anchors(panel) {
            assert!(known.contains(anchor), "{anchor}: {panel}");
        }
    }
    let linked_anchors: BTreeSet<&str> = panels.iter().flat_map(anchors).collect();
    for (alert, _) in alerts() {
        assert!(linked_anchors.contains(&*alert), "{alert} is on no panel");
    }
}

#[test]
fn every_threshold_line_equals_the_threshold_of_an_alert() {
    let mut lines = 0;
    for panel in panels() {
        let defaults = &panel["fieldConfig"]["defaults"];
        let steps = defaults["thresholds"]["steps"].as_array().cloned().unwrap_or_default();
        for line in steps.iter().filter_map(|step| step["value"].as_f64()) {
            // The panel's threshold is a share of successes, and the alert's threshold is the share of
            // failures.
            let failure_share = ((1.0 - line) * 100.0).round() / 100.0;
            let fires = |(alert, rule): (String, String)| {
                let words: Vec<&str> = rule.split_whitespace().collect();
                let above =
                    |line: f64| words.windows(2).any(|pair| pair == [">", &line.to_string()]);
                anchors(&panel).contains(&&*alert) && (above(line) || above(failure_share))
            };
            assert!(alerts().into_iter().any(fires), "{line}: {panel}");
            lines += 1;
        }
    }
    assert_eq!(lines, 15);
}

#[test]
fn no_two_panels_share_an_id_or_overlap() {
    let all = panels_and_headings();
    let side = |panel: &Value, name: &str| panel["gridPos"][name].as_u64().unwrap();
    let apart = |a: &Value, b: &Value, at: &str, length: &str| {
        side(a, at) + side(a, length) <= side(b, at) || side(b, at) + side(b, length) <= side(a, at)
    };
    for (index, panel) in all.iter().enumerate() {
        assert!(side(panel, "x") + side(panel, "w") <= 24, "{panel}");
        for other in &all[..index] {
            assert_ne!(panel["id"].as_u64().unwrap(), other["id"].as_u64().unwrap());
            assert!(apart(panel, other, "x", "w") || apart(panel, other, "y", "h"), "{panel}");
        }
    }
}
