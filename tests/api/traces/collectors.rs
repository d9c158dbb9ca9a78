//! Collectors that are well, unwell, or somebody else; and what the SDK's variables say of them.

use std::time::{Duration, Instant};

use axum::{Router, extract::State, response::Redirect, routing::post};
use tokio::net::TcpListener;

use super::{logout, stage};
use crate::harness::{Collector, OwnThread, Serving};

#[tokio::test]
async fn an_unreachable_collector_delays_no_logout_and_no_shutdown() {
    let stage = stage().await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let endpoint = format!("http://{nobody}");
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=x9tell-tale9x"),
    ];
    let serving = Serving::start(&stage, &environment).await;
    let tokens = stage.sign_up();
    logout(&serving, &tokens, "01").await;
    assert!(!stage.alive(&tokens));
    let log = serving.ended();
    assert!(log.text.contains("BatchSpanProcessor.ExportError"), "it is told: {}", log.text);
    assert!(!log.text.contains("x9tell-tale9x"));
}

#[tokio::test]
async fn a_collector_that_never_answers_delays_no_logout_and_no_shutdown() {
    let stage = stage().await;
    let hanging = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", hanging.local_addr().unwrap());
    let serving = Serving::start(&stage, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint)]).await;
    let tokens = stage.sign_up();
    logout(&serving, &tokens, "01").await;
    assert!(!stage.alive(&tokens));
    let begun = Instant::now();
    let log = serving.ended();
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    assert!(log.text.contains("the last traces could not be exported"), "{}", log.text);
}

#[tokio::test]
async fn traces_go_to_the_collector_and_nowhere_else() {
    let (stage, elsewhere) = (stage().await, Collector::start().await);
    let leads_on =
        Router::new().route(
            "/v1/traces",
            post(|State(to): State<String>| async move {
                Redirect::temporary(&format!("{to}/v1/traces"))
            }),
        );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let leads_on = leads_on.with_state(elsewhere.endpoint.clone());
    let listener = listener.into_std().unwrap();
    let _redirecting = OwnThread::run(|| async {
        axum::serve(TcpListener::from_std(listener).unwrap(), leads_on).await.unwrap();
    });
    for environment in [
        [("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint), ("HTTP_PROXY", "")],
        [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"),
            ("HTTP_PROXY", &elsewhere.endpoint),
        ],
    ] {
        let serving = Serving::start(&stage, &environment).await;
        logout(&serving, &stage.sign_up(), "01").await;
        let log = serving.ended();
        assert!(log.text.contains("BatchSpanProcessor.ExportError"), "{}", log.text);
        assert_eq!(elsewhere.exports().len(), 0, "{environment:?}");
    }
}

#[tokio::test]
async fn the_sdks_own_variables_count() {
    let (stage, collector) = (stage().await, Collector::start().await);
    let environment = [
        collector.variable(),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=42"),
        ("OTEL_SERVICE_NAME", "the-edge"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
    ];
    let serving = Serving::start(&stage, &environment).await;
    let _log = serving.ended();
    let (headers, _) = collector.exports().pop().expect("the fetch of the key set");
    assert_eq!(headers["x-tenant"], "42");
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let resource = collector.resources().pop().unwrap();
    assert_eq!(resource["service.name"], "the-edge");
    assert_eq!(resource["deployment.environment.name"], "test");
}
