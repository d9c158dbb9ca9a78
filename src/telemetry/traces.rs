//! The spans, and their export by OTLP over HTTP.
//!
//! 1. The client's W3C trace context is continued, and passed on to GoTrue: with the span of the request to GoTrue
//!    as the parent, or octet for octet where no traces are exported. A malformed one is ignored.
//! 2. The span of a request has the request id. Its children are the check of the token, each try of a request to
//!    GoTrue, and each operation of the store. No span has a part of a token, of a cookie or of a user's data, and
//!    no name of a span comes from a client.
//! 3. Where no traces are exported, every span is disabled, which costs the read of a flag.
//!
//! Attributes are named as in the OpenTelemetry semantic conventions for HTTP.

use std::{sync::Arc, time::Duration};

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use opentelemetry::{
    Context, Key, KeyValue, propagation::TextMapPropagator as _, trace::TracerProvider as _,
};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_otlp::{
    ExporterBuildError, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    resource::{ResourceDetector as _, SdkProvidedResourceDetector},
    trace::SdkTracerProvider,
};
use reqwest::{blocking::Client, redirect};
use tracing::{Level, Span, Subscriber, field::Empty, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::{Layer, filter::filter_fn, registry::LookupSpan};
use url::Url;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// W3C Trace Context, section 3.3.1.5: the length that every implementation must pass on.
const LONGEST_TRACESTATE: usize = 512;

/// OTLP over HTTP: the signal's path below the endpoint.
const SIGNAL_PATH: &str = "/v1/traces";
/// The SDK's own default.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);
const SERVICE: &str = env!("CARGO_PKG_NAME");

/// Exports spans in the background.
#[derive(Debug)]
pub struct Exporter(SdkTracerProvider);

impl Exporter {
    /// Sends spans to `endpoint`. The SDK reads its other settings from its own variables (`OTEL_…`).
    ///
    /// # Errors
    /// [`ExporterError`] when the system lacks what TLS needs, or gives no thread.
    pub(crate) fn new(endpoint: &Url) -> Result<Self, ExporterError> {
        let url = format!("{}{SIGNAL_PATH}", endpoint.as_str().trim_end_matches('/'));
        let client = Client::builder()
            // As for GoTrue: spans, and the collector's key with them, go only where the configuration says.
            .no_proxy()
            .redirect(redirect::Policy::none())
            .timeout(EXPORT_TIMEOUT)
            .build()?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_endpoint(url)
            .build()?;
        let provider = SdkTracerProvider::builder()
            .with_resource(resource())
            .with_batch_exporter(exporter)
            .build();
        Ok(Self(provider))
    }

    /// A layer for the spans of this module, independent of the log filter.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer(SERVICE))
            .with_context_activation(false)
            .with_location(false)
            .with_target(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(
                filter_fn(|metadata| metadata.is_span() && metadata.target() == module_path!())
                    .with_max_level_hint(Level::INFO),
            )
    }

    /// Exports the last spans, within `timeout`.
    pub(super) fn stop(&self, timeout: Duration) {
        if let Err(cause) = self.0.shutdown_with_timeout(timeout) {
            tracing::warn!(%cause, "the last traces could not be exported");
        }
    }
}

/// The exporter could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum ExporterError {
    /// No HTTP client.
    #[error("the HTTP client could not be built: {0}")]
    Client(#[from] reqwest::Error),
    /// No exporter.
    #[error(transparent)]
    Exporter(#[from] ExporterBuildError),
}

fn resource() -> Resource {
    const NAME: Key = Key::from_static_str("service.name");
    let given = SdkProvidedResourceDetector.detect().get(&NAME);
    // The SDK's default name, by its specification.
    let given = given.filter(|name| !name.as_str().starts_with("unknown_service"));
    Resource::builder()
        .with_service_name(given.unwrap_or_else(|| SERVICE.into()))
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build()
}

/// The trace that a client's request is part of. Most requests have none.
#[derive(Clone, Debug, Default)]
pub struct TraceContext(Option<Arc<HeaderMap>>);

impl TraceContext {
    /// Reads `traceparent` and `tracestate`.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut parents = headers.get_all(TRACEPARENT).iter();
        let (Some(parent), None) = (parents.next(), parents.next()) else { return Self(None) };
        if !is_well_formed(parent.as_bytes()) {
            return Self(None);
        }
        let mut context = HeaderMap::from_iter([(TRACEPARENT, parent.clone())]);
        // Several lines are one list (W3C Trace Context, section 3.3.1).
        let state: Vec<_> = headers.get_all(TRACESTATE).iter().map(HeaderValue::as_bytes).collect();
        let state = state.join(&b","[..]);
        if (1..=LONGEST_TRACESTATE).contains(&state.len())
            && let Ok(state) = HeaderValue::try_from(state)
        {
            context.insert(TRACESTATE, state);
        }
        Self(Some(Arc::new(context)))
    }

    /// Adds the headers to a request to GoTrue.
    pub(crate) fn pass_on(&self, headers: &mut HeaderMap) {
        if let Some(context) = &self.0 {
            headers.extend(context.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
    }

    /// The context as the SDK reads it.
    fn parent(&self) -> Option<Context> {
        let headers = self.0.as_deref()?;
        let propagator = TraceContextPropagator::new();
        Some(propagator.extract_with_context(&Context::new(), &HeaderExtractor(headers)))
    }
}

/// W3C Trace Context, section 3.2.2. The SDK accepts more, which other implementations read differently.
fn is_well_formed(traceparent: &[u8]) -> bool {
    let hex = |part: &[u8], digits: usize| {
        part.len() == digits && part.iter().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_id = |part: &[u8], digits| hex(part, digits) && part.iter().any(|c| *c != b'0');
    let mut parts = traceparent.split(|c| *c == b'-');
    let mut next = || parts.next().unwrap_or_default();
    let (version, trace, parent, flags) = (next(), next(), next(), next());
    let known = version != b"00" || parts.next().is_none();
    let version = hex(version, 2) && version != b"ff" && known;
    version && is_id(trace, 32) && is_id(parent, 16) && hex(flags, 2)
}

/// Adds the headers to a request to GoTrue, with `span` as the parent. A disabled span adds none.
pub fn pass_on(span: &Span, headers: &mut HeaderMap) {
    if !span.is_disabled() {
        inject(&span.context(), headers);
    }
}

fn inject(context: &Context, headers: &mut HeaderMap) {
    TraceContextPropagator::new().inject_context(context, &mut HeaderInjector(headers));
    if headers.get(TRACESTATE).is_some_and(HeaderValue::is_empty) {
        headers.remove(TRACESTATE);
    }
}

/// The span of a client's request.
#[must_use]
pub fn request(method: &Method, route: &str, request_id: &str, caller: &TraceContext) -> Span {
    let method = known(method);
    let span = info_span!(
        "request",
        otel.name = format_args!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
        request_id,
        outcome = Empty,
        reason = Empty,
    );
    if !span.is_disabled()
        && let Some(parent) = caller.parent()
    {
        // Fails only for a span that has started and so has a parent already.
        let _ = span.set_parent(parent);
    }
    span
}

/// The methods of RFC 9110 and RFC 5789. Any other one comes from the client, and becomes `_OTHER`, as OpenTelemetry's
/// conventions say.
fn known(method: &Method) -> &str {
    match method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "CONNECT" | "OPTIONS" | "TRACE"
        | "PATCH") => known,
        _ => "_OTHER",
    }
}

/// The span of a retry of a queued logout. It is a root: the request of the logout has ended.
#[must_use]
pub fn retry(request_id: &str) -> Span {
    info_span!("retry", request_id)
}

/// The span of a token's verification.
#[must_use]
pub fn token_check() -> Span {
    info_span!("token check")
}

/// The span of one try of a request to GoTrue.
#[must_use]
pub fn gotrue(name: &'static str, method: &Method, server: &Url) -> Span {
    info_span!(
        "gotrue",
        otel.name = name,
        otel.kind = "client",
        otel.status_code = Empty,
        http.request.method = %method,
        http.response.status_code = Empty,
        server.address = server.host_str(),
        server.port = server.port_or_known_default(),
        result = Empty,
    )
}

/// The span of a store operation within a request. Background work has no trace.
#[must_use]
pub fn store(operation: &'static str) -> Span {
    if Span::current().is_disabled() {
        return Span::none();
    }
    info_span!("store", operation, otel.status_code = Empty)
}

/// Records the status of a response, to a client or from GoTrue.
pub fn answered(span: &Span, status: StatusCode) {
    span.record("http.response.status_code", status.as_u16());
}

/// Marks the span as failed.
pub fn failed(span: &Span) {
    span.record("otel.status_code", "ERROR");
}
