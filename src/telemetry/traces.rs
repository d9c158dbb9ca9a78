//! Creates the spans of traces and exports them by OTLP over HTTP.
//!
//! 1. The gateway continues the client's W3C trace context and passes it on to GoTrue. If traces are
//!    exported, the parent in the headers to GoTrue is the span of that request; if not, the client's headers
//!    are passed on unchanged. A malformed trace context is ignored.
//! 2. The span of a client's request has the request id. Its children are the verification of the token, each
//!    try of a request to GoTrue, and each operation of the store. No span contains a part of a token, of a
//!    cookie or of a user's data, and no span's name comes from a client.
//! 3. If traces are not exported, every span is disabled. A disabled span costs only the read of a flag.
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
/// The longest `tracestate` that is passed on, in bytes: the length that W3C Trace Context, section 3.3.1.5,
/// asks implementations to propagate.
const LONGEST_TRACESTATE: usize = 512;

/// The path for traces below the collector's endpoint, as OTLP over HTTP defines it.
const SIGNAL_PATH: &str = "/v1/traces";
/// The longest time of one export: the default of the OpenTelemetry SDK.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);
const SERVICE: &str = env!("CARGO_PKG_NAME");

/// Exports spans in the background.
#[derive(Debug)]
pub struct Exporter(SdkTracerProvider);

impl Exporter {
    /// Starts an exporter that sends spans to `endpoint`. The OpenTelemetry SDK reads its other settings from
    /// the variables `OTEL_…`.
    ///
    /// # Errors
    /// [`ExporterError`] if the HTTP client cannot be built, for instance because the system has no TLS
    /// roots, or if no thread can be started.
    pub(crate) fn new(endpoint: &Url) -> Result<Self, ExporterError> {
        let url = format!("{}{SIGNAL_PATH}", endpoint.as_str().trim_end_matches('/'));
        let client = Client::builder();
        // The system's certificates are needed for https alone, and it may have none.
        let uses_tls = endpoint.scheme() == "https";
        let client = if uses_tls { client } else { client.tls_certs_only([]) };
        let client = client
            // Use no proxy and follow no redirect: the spans and the collector's API key must reach only the
            // configured endpoint.
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

    /// The layer that exports the spans of this module. The log filter does not apply to them.
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

    /// Exports the remaining spans and stops the exporter, within `timeout`. Logs a warning if the export
    /// fails.
    pub(super) fn stop(&self, timeout: Duration) {
        if let Err(cause) = self.0.shutdown_with_timeout(timeout) {
            tracing::warn!(%cause, "the last traces could not be exported");
        }
    }
}

/// The exporter could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum ExporterError {
    /// The HTTP client could not be built.
    #[error("the HTTP client of the trace exporter could not be built: {0}")]
    Client(#[from] reqwest::Error),
    /// The OpenTelemetry SDK could not build the exporter.
    #[error(transparent)]
    Exporter(#[from] ExporterBuildError),
}

fn resource() -> Resource {
    const NAME: Key = Key::from_static_str("service.name");
    let configured = SdkProvidedResourceDetector.detect().get(&NAME);
    // If no name is configured, the OpenTelemetry SDK returns a name that starts so. Replace it.
    let configured = configured.filter(|name| !name.as_str().starts_with("unknown_service"));
    Resource::builder()
        .with_service_name(configured.unwrap_or_else(|| SERVICE.into()))
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build()
}

/// The trace context of a client's request: its headers `traceparent` and `tracestate`. Most requests have
/// none.
#[derive(Clone, Debug, Default)]
pub struct TraceContext(Option<Arc<HeaderMap>>);

impl TraceContext {
    /// Reads `traceparent` and `tracestate`. The context is empty if `traceparent` is missing, duplicated or
    /// malformed.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut parents = headers.get_all(TRACEPARENT).iter();
        let (Some(parent), None) = (parents.next(), parents.next()) else { return Self(None) };
        if !is_well_formed(parent.as_bytes()) {
            return Self(None);
        }
        let mut context = HeaderMap::from_iter([(TRACEPARENT, parent.clone())]);
        // Several `tracestate` header lines are combined into one list (W3C Trace Context, section 3.3.1).
        let state: Vec<_> = headers.get_all(TRACESTATE).iter().map(HeaderValue::as_bytes).collect();
        let state = state.join(&b","[..]);
        if (1..=LONGEST_TRACESTATE).contains(&state.len())
            && let Ok(state) = HeaderValue::try_from(state)
        {
            context.insert(TRACESTATE, state);
        }
        Self(Some(Arc::new(context)))
    }

    /// Adds the client's trace headers, unchanged, to the headers of a request to GoTrue.
    pub(crate) fn pass_on(&self, headers: &mut HeaderMap) {
        if let Some(context) = &self.0 {
            headers.extend(context.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
    }

    /// The context in the form of the OpenTelemetry SDK.
    fn parent(&self) -> Option<Context> {
        let headers = self.0.as_deref()?;
        let propagator = TraceContextPropagator::new();
        Some(propagator.extract_with_context(&Context::new(), &HeaderExtractor(headers)))
    }
}

/// Checks `traceparent` by W3C Trace Context, section 3.2.2. The OpenTelemetry SDK accepts more values, which
/// other implementations interpret differently.
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

/// Adds the trace headers to the headers of a request to GoTrue, with `span` as the parent. A disabled span
/// adds no headers.
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
    let method = method_name(method);
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
        // Setting the parent fails only for a span that has been entered, and this span is new.
        let _ = span.set_parent(parent);
    }
    span
}

/// The method's name for a span. A method that RFC 9110 and RFC 5789 do not define is text from the client
/// and becomes `_OTHER`, as OpenTelemetry's conventions for HTTP require.
fn method_name(method: &Method) -> &str {
    match method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "CONNECT" | "OPTIONS" | "TRACE"
        | "PATCH") => known,
        _ => "_OTHER",
    }
}

/// The span of a retry of a queued logout. It has no parent, because the request of the logout has ended.
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

/// The span of a store operation within a request or a retry. A store operation without a surrounding span is
/// not traced.
#[must_use]
pub fn store(operation: &'static str) -> Span {
    if Span::current().is_disabled() {
        return Span::none();
    }
    info_span!("store", operation, otel.status_code = Empty)
}

/// Records the HTTP status of a response (to a client or from GoTrue) in `span`.
pub fn answered(span: &Span, status: StatusCode) {
    span.record("http.response.status_code", status.as_u16());
}

/// Marks `span` as failed.
pub fn failed(span: &Span) {
    span.record("otel.status_code", "ERROR");
}
