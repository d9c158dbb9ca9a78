//! Spans, and where they go: by OTLP over HTTP, when somebody listens.
//!
//! 1. A caller's W3C trace context is taken over, and passed on to GoTrue: with the span that asks it as
//!    parent, or as it came where no traces are exported.
//! 2. A request's span has the request id; below it are the token's check, each try at GoTrue and what
//!    the store was asked. No span has anything of a token, a cookie or a user.
//! 3. Where no traces are exported every span is a disabled one, which costs a look at a flag.
//!
//! Attributes are named as in the OpenTelemetry semantic conventions for HTTP.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use opentelemetry::{
    Context, Key, KeyValue,
    propagation::TextMapPropagator as _,
    trace::{SpanContext, TraceContextExt as _, TracerProvider as _},
};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    resource::{ResourceDetector as _, SdkProvidedResourceDetector},
    trace::SdkTracerProvider,
};
use tracing::{Span, Subscriber, field::Empty, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::{Layer, filter::filter_fn, registry::LookupSpan};
use url::Url;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// W3C Trace Context, section 3.3.1.5: as much as everybody has to pass on.
const LONGEST_TRACESTATE: usize = 512;

/// OTLP over HTTP: the signal's path below the endpoint.
const SIGNAL_PATH: &str = "/v1/traces";
const SERVICE: &str = env!("CARGO_PKG_NAME");

/// Exports spans; what is not exported yet goes when [`Exporter::stop`] is called.
#[derive(Debug)]
pub struct Exporter(SdkTracerProvider);

impl Exporter {
    /// Sends to `endpoint` in the background. What else can be set, the OpenTelemetry SDK reads from
    /// its own variables: `OTEL_SERVICE_NAME`, `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_TRACES_SAMPLER`.
    ///
    /// # Errors
    /// [`ExporterBuildError`] when the system lacks what TLS needs, or gives no thread.
    pub fn new(endpoint: &Url) -> Result<Self, ExporterBuildError> {
        let url = format!("{}{SIGNAL_PATH}", endpoint.as_str().trim_end_matches('/'));
        let exporter = SpanExporter::builder().with_http().with_endpoint(url).build()?;
        let provider = SdkTracerProvider::builder()
            .with_resource(resource())
            .with_batch_exporter(exporter)
            .build();
        Ok(Self(provider))
    }

    /// Takes this room's spans, whatever is logged.
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
            .with_filter(filter_fn(|what| what.is_span() && what.target() == module_path!()))
    }

    /// Exports the last ones, for so long at most.
    pub(super) fn stop(&self, patience: Duration) {
        if let Err(cause) = self.0.shutdown_with_timeout(patience) {
            tracing::warn!(%cause, "the last traces could not be exported");
        }
    }
}

fn resource() -> Resource {
    const NAME: Key = Key::from_static_str("service.name");
    let given = SdkProvidedResourceDetector.detect().get(&NAME);
    // What the SDK says where nobody gave a name, by its specification.
    let given = given.filter(|name| !name.as_str().starts_with("unknown_service"));
    Resource::builder()
        .with_service_name(given.unwrap_or_else(|| SERVICE.into()))
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build()
}

/// The trace that a caller is part of; mostly none.
#[derive(Clone, Debug, Default)]
pub struct TraceContext(Option<SpanContext>);

impl TraceContext {
    /// What the request's head says of it; a malformed one is none.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let mut given = headers.get_all(TRACEPARENT).iter();
        if given.next().is_none() || given.next().is_some() {
            return Self(None);
        }
        let nobody = Context::new();
        let context =
            TraceContextPropagator::new().extract_with_context(&nobody, &HeaderExtractor(headers));
        Self(Some(context.span().span_context().clone()).filter(SpanContext::is_valid))
    }

    /// Tells whoever is asked next.
    pub fn pass_on(&self, headers: &mut HeaderMap) {
        if let Some(span) = &self.0 {
            inject(&Context::new().with_remote_span_context(span.clone()), headers);
        }
    }
}

/// Tells whoever is asked next that `span` asks.
pub fn pass_on(span: &Span, headers: &mut HeaderMap) {
    if !span.is_disabled() {
        inject(&span.context(), headers);
    }
}

fn inject(context: &Context, headers: &mut HeaderMap) {
    TraceContextPropagator::new().inject_context(context, &mut HeaderInjector(headers));
    let longest = 1..=LONGEST_TRACESTATE;
    if headers.get(TRACESTATE).is_some_and(|state| !longest.contains(&state.len())) {
        headers.remove(TRACESTATE);
    }
}

/// A request that a client makes.
#[must_use]
pub fn request(method: &Method, route: &str, request_id: &str, caller: &TraceContext) -> Span {
    let span = info_span!(
        "request",
        otel.name = format_args!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = %method,
        http.route = route,
        http.response.status_code = Empty,
        request_id,
        outcome = Empty,
        reason = Empty,
    );
    if let Some(caller) = &caller.0 {
        // Fails where the span is disabled, and then nobody misses it.
        let _ = span.set_parent(Context::new().with_remote_span_context(caller.clone()));
    }
    span
}

/// A postponed logout is tried again; its request is over.
#[must_use]
pub fn retry(request_id: &str) -> Span {
    info_span!("retry", request_id)
}

/// Whose token is it, and does it count?
#[must_use]
pub fn token_check() -> Span {
    info_span!("token check")
}

/// One try of a request to GoTrue.
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

/// What the store is asked for the sake of a request; what it is asked in the background is no trace.
#[must_use]
pub fn store(operation: &'static str) -> Span {
    match Span::current().is_disabled() {
        true => Span::none(),
        false => info_span!("store", operation, otel.status_code = Empty),
    }
}

/// The status of an answer, given or got.
pub fn answered(span: &Span, status: StatusCode) {
    span.record("http.response.status_code", status.as_u16());
}

/// It did not go well.
pub fn failed(span: &Span) {
    span.record("otel.status_code", "ERROR");
}
