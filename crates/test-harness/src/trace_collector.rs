//! An OpenTelemetry collector that receives traces by OTLP over HTTP and keeps them for a test.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, routing::post};
use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, KeyValue, any_value::Value},
};
use prost::Message;
use tokio::net::TcpListener;

use super::{BackgroundThread, leak_check};

/// The headers and the body of each export request.
type Exports = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

/// A running collector, which listens until this is dropped.
pub struct TraceCollector {
    /// The collector's URL, in the form `http://<address>`.
    pub endpoint: String,
    exports: Exports,
    _running: BackgroundThread,
}

/// A span that the collector received.
#[derive(Debug)]
pub struct Span {
    pub name: String,
    pub kind: i32,
    /// The trace id in hexadecimal digits, as in the header `traceparent`.
    pub trace_id: String,
    pub span_id: String,
    /// The id of the parent span, or an empty text if the span has no parent.
    pub parent_span_id: String,
    pub attributes: BTreeMap<String, String>,
    /// Whether the status code of the span is `ERROR`.
    pub is_error: bool,
}

impl TraceCollector {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let exports = Exports::default();
        let router =
            Router::new().route("/v1/traces", post(receive_export)).with_state(exports.clone());
        let listener = listener.into_std().unwrap();
        let running = BackgroundThread::spawn(|| async {
            axum::serve(TcpListener::from_std(listener).unwrap(), router).await.unwrap();
        });
        Self { endpoint, exports, _running: running }
    }

    /// The name and value of the environment variable that makes a gateway export to this collector.
    pub fn endpoint_variable(&self) -> (&'static str, &str) {
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &self.endpoint)
    }

    /// The headers and the body of every export request that the collector received.
    pub fn exports(&self) -> Vec<(HeaderMap, Bytes)> {
        self.exports.lock().unwrap().clone()
    }

    fn requests(&self) -> Vec<ExportTraceServiceRequest> {
        let exports = self.exports();
        exports.iter().map(|(_, body)| Message::decode(body.clone()).unwrap()).collect()
    }

    /// The resource attributes of every export request; they describe the program that sent it.
    pub fn resource_attributes(&self) -> Vec<BTreeMap<String, String>> {
        let spans = self.requests().into_iter().flat_map(|request| request.resource_spans);
        spans.map(|spans| attributes(&spans.resource.unwrap().attributes)).collect()
    }

    /// All spans that the collector received.
    pub fn spans(&self) -> Vec<Span> {
        let resources = self.requests().into_iter().flat_map(|request| request.resource_spans);
        let scopes = resources.flat_map(|spans| spans.scope_spans);
        scopes.flat_map(|scope| scope.spans).map(Span::from).collect()
    }
}

async fn receive_export(State(exports): State<Exports>, headers: HeaderMap, body: Bytes) {
    leak_check::record_log(&body);
    exports.lock().unwrap().push((headers, body));
}

impl From<opentelemetry_proto::tonic::trace::v1::Span> for Span {
    fn from(span: opentelemetry_proto::tonic::trace::v1::Span) -> Self {
        assert!(
            span.start_time_unix_nano > 0 && span.end_time_unix_nano >= span.start_time_unix_nano
        );
        Self {
            kind: span.kind,
            trace_id: TraceId::from_bytes(span.trace_id.try_into().unwrap()).to_string(),
            span_id: span_id(&span.span_id),
            parent_span_id: span_id(&span.parent_span_id),
            attributes: attributes(&span.attributes),
            is_error: span.status.is_some_and(|status| status.code == 2),
            name: span.name,
        }
    }
}

fn span_id(octets: &[u8]) -> String {
    octets.try_into().map(|octets| SpanId::from_bytes(octets).to_string()).unwrap_or_default()
}

fn attributes(pairs: &[KeyValue]) -> BTreeMap<String, String> {
    pairs.iter().map(|pair| (pair.key.clone(), text(pair.value.as_ref()))).collect()
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}
