//! Trace collectors that work, fail or redirect, and the environment variables of the OpenTelemetry SDK.

use std::time::{Duration, Instant};

use axum::{Router, extract::State, response::Redirect, routing::post};
use tokio::net::TcpListener;

use super::{log_out_with_trace, start_app};
use crate::harness::{BackgroundThread, GatewayProcess, TraceCollector};

#[tokio::test]
async fn an_unreachable_collector_delays_no_logout_and_no_shutdown() {
    let app = start_app().await;
    let closed_address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let endpoint = format!("http://{closed_address}");
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=x9tell-tale9x"),
    ];
    let gateway = GatewayProcess::start(&app, &environment).await;
    let tokens = app.sign_up();
    log_out_with_trace(&gateway, &tokens, "01").await;
    assert!(!app.is_alive(&tokens));
    let log = gateway.stop();
    assert!(
        log.text.contains("BatchSpanProcessor.ExportError"),
        "the failed export is logged: {}",
        log.text
    );
    assert!(!log.text.contains("x9tell-tale9x"));
}

#[tokio::test]
async fn a_collector_that_never_answers_delays_no_logout_and_no_shutdown() {
    let app = start_app().await;
    let hanging = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", hanging.local_addr().unwrap());
    let gateway = GatewayProcess::start(&app, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint)]).await;
    let tokens = app.sign_up();
    log_out_with_trace(&gateway, &tokens, "01").await;
    assert!(!app.is_alive(&tokens));
    let begun = Instant::now();
    let log = gateway.stop();
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    assert!(log.text.contains("the last traces could not be exported"), "{}", log.text);
}

#[tokio::test]
async fn traces_are_sent_only_to_the_configured_collector() {
    let (app, other_collector) = (start_app().await, TraceCollector::start().await);
    let redirect =
        Router::new().route(
            "/v1/traces",
            post(|State(to): State<String>| async move {
                Redirect::temporary(&format!("{to}/v1/traces"))
            }),
        );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let redirect = redirect.with_state(other_collector.endpoint.clone());
    let listener = listener.into_std().unwrap();
    let _redirecting_server = BackgroundThread::spawn(|| async {
        axum::serve(TcpListener::from_std(listener).unwrap(), redirect).await.unwrap();
    });
    for environment in [
        [("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint), ("HTTP_PROXY", "")],
        [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"),
            ("HTTP_PROXY", &other_collector.endpoint),
        ],
    ] {
        let gateway = GatewayProcess::start(&app, &environment).await;
        log_out_with_trace(&gateway, &app.sign_up(), "01").await;
        let log = gateway.stop();
        assert!(log.text.contains("BatchSpanProcessor.ExportError"), "{}", log.text);
        assert_eq!(other_collector.exports().len(), 0, "{environment:?}");
    }
}

#[tokio::test]
async fn the_variables_of_the_opentelemetry_sdk_are_used() {
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
