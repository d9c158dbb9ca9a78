//! Collectors that are well, unwell, or somebody else; and what the SDK's variables say of them.

use std::time::{Duration, Instant};

use axum::{Router, extract::State, response::Redirect, routing::post};
use tokio::net::TcpListener;

use super::{logout, start_app};
use crate::harness::{BackgroundThread, GatewayProcess, TraceCollector};

#[tokio::test]
async fn an_unreachable_collector_delays_no_logout_and_no_shutdown() {
    let app = start_app().await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let endpoint = format!("http://{nobody}");
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=x9tell-tale9x"),
    ];
    let gateway = GatewayProcess::start(&app, &environment).await;
    let tokens = app.sign_up();
    logout(&gateway, &tokens, "01").await;
    assert!(!app.is_alive(&tokens));
    let log = gateway.stop();
    assert!(log.text.contains("BatchSpanProcessor.ExportError"), "it is told: {}", log.text);
    assert!(!log.text.contains("x9tell-tale9x"));
}

#[tokio::test]
async fn a_collector_that_never_answers_delays_no_logout_and_no_shutdown() {
    let app = start_app().await;
    let hanging = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", hanging.local_addr().unwrap());
    let gateway = GatewayProcess::start(&app, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint)]).await;
    let tokens = app.sign_up();
    logout(&gateway, &tokens, "01").await;
    assert!(!app.is_alive(&tokens));
    let begun = Instant::now();
    let log = gateway.stop();
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    assert!(log.text.contains("the last traces could not be exported"), "{}", log.text);
}

#[tokio::test]
async fn traces_go_to_the_collector_and_nowhere_else() {
    let (app, elsewhere) = (start_app().await, TraceCollector::start().await);
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
    let _redirecting = BackgroundThread::spawn(|| async {
        axum::serve(TcpListener::from_std(listener).unwrap(), leads_on).await.unwrap();
    });
    for environment in [
        [("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint), ("HTTP_PROXY", "")],
        [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"),
            ("HTTP_PROXY", &elsewhere.endpoint),
        ],
    ] {
        let gateway = GatewayProcess::start(&app, &environment).await;
        logout(&gateway, &app.sign_up(), "01").await;
        let log = gateway.stop();
        assert!(log.text.contains("BatchSpanProcessor.ExportError"), "{}", log.text);
        assert_eq!(elsewhere.exports().len(), 0, "{environment:?}");
    }
}

#[tokio::test]
async fn the_sdks_own_variables_count() {
    let (app, collector) = (start_app().await, TraceCollector::start().await);
    let environment = [
        collector.endpoint_variable(),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=42"),
        ("OTEL_SERVICE_NAME", "the-edge"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
    ];
    let gateway = GatewayProcess::start(&app, &environment).await;
    let _log = gateway.stop();
    let (headers, _) = collector.exports().pop().expect("the fetch of the key set");
    assert_eq!(headers["x-tenant"], "42");
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let resource = collector.resource_attributes().pop().unwrap();
    assert_eq!(resource["service.name"], "the-edge");
    assert_eq!(resource["deployment.environment.name"], "test");
}
