//! Two gateways share one queue: together they must retry each queued logout.

use std::collections::BTreeMap;

use gotrue_mock::Tokens;
use logout_gateway::Clock;
use serde_json::json;

use crate::{
    harness::{GatewayProcess, RedisServer, Setup, eventually},
    queue_commands,
};

const QUEUED: usize = 50;

#[tokio::test]
async fn two_gateways_send_each_queued_logout_once() {
    let redis = RedisServer::start().await;
    let store = redis.url();
    let app = Setup::new().start_time(Clock::system().unix_seconds()).start().await;
    let environment = [("GATEWAY_STORE", &*store)];
    let gateways = [
        GatewayProcess::start(&app, &environment).await,
        GatewayProcess::start(&app, &environment).await,
    ];
    app.inject_fault(json!({"operation": "logout", "kind": "status", "status": 429,
        "headers": {"Retry-After": "3000"}}));
    let all: Vec<Tokens> = (0..QUEUED).map(|_| app.sign_up()).collect();
    for (n, tokens) in all.iter().enumerate() {
        let logout = gateways[n % 2].request("POST", "/logout").bearer(&tokens.access_token);
        assert_eq!(logout.send().await.status, 202);
    }

    app.mock.clear_faults();
    // GoTrue's delay lets the other gateway lease entries while one gateway retries an entry.
    app.inject_fault(json!({"operation": "logout", "kind": "delay", "seconds": 0.1}));
    let (status, lines, stderr) = queue_commands::run(&store, &["queue", "retry", "--all"]);
    assert_eq!((status, lines.len()), (Some(0), QUEUED), "{stderr}");
    let all_are_done = async || all.iter().all(|tokens| !app.is_alive(tokens));
    eventually("all logouts are done", all_are_done).await;
    let logs = gateways.map(GatewayProcess::stop);
    let mut sent = BTreeMap::<_, usize>::new();
    for call in app.gotrue_calls("logout") {
        *sent.entry(call.header("authorization").unwrap().to_owned()).or_default() += 1;
    }
    for tokens in &all {
        let times = sent[&format!("Bearer {}", tokens.access_token)];
        assert_eq!(times, 2, "once for the request, and once from the queue");
    }
    let done = logs.map(|log| {
        log.lines
            .iter()
            .filter(|line| line["message"] == "the worker completed a queued logout")
            .count()
    });
    assert!(done[0] > 0 && done[1] > 0, "each gateway must retry some of the logouts: {done:?}");
    assert_eq!(done[0] + done[1], QUEUED);
}
