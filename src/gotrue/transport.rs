//! Sends requests to GoTrue, with a deadline and one retry.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use backon::{ExponentialBuilder, Retryable};
use reqwest::{Client, Proxy, redirect};
use tokio::time::{Instant, timeout_at};
use tracing::Span;

use super::{
    ConnectionSettings, Deadline, FetchError, Refusal, answer::Answer, log, request::Request,
};
use crate::{
    config::Config,
    operation::gotrue::{Operation, TryResult},
    telemetry::{metrics::Metrics, traces},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Proxies close idle connections after 60 s or more. A shorter time here avoids sending into a connection that
/// is about to close, which would use up the retry.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
const IDLE_CONNECTIONS: usize = 1024;
/// Detects that the other end of a pooled connection has vanished, before [`IDLE_TIMEOUT`] ends.
const KEEPALIVE: Duration = Duration::from_secs(10);
const KEEPALIVE_PROBES: u32 = 2;
/// The most header lines of a response: hyper's default. hyper also limits them together to 408 KiB, which
/// cannot be changed.
const MAX_HEADERS: usize = 100;

/// The HTTP client could not be built, for instance because the system has no TLS roots.
#[derive(Debug, thiserror::Error)]
#[error(
    "the HTTP client for GoTrue could not be built; check the certificates of the system, or SSL_CERT_FILE"
)]
pub struct HttpClientError(#[from] reqwest::Error);

/// The connection pool of one runtime.
#[derive(Clone, Debug)]
pub(super) struct Transport {
    http: Client,
    settings: ConnectionSettings,
    metrics: Arc<Metrics>,
}

/// One try of a request. When it is dropped, also at the deadline, the try is counted and its span ends.
struct Try<'m> {
    metrics: &'m Metrics,
    operation: Operation,
    begun: Instant,
    result: TryResult,
    span: Span,
}

impl Drop for Try<'_> {
    fn drop(&mut self) {
        self.metrics.gotrue_try(self.operation, self.result, self.begun.elapsed());
        self.span.record("result", self.result.as_str());
        if !matches!(self.result, TryResult::Ok | TryResult::Refused) {
            traces::failed(&self.span);
        }
    }
}

/// A try that may be repeated.
enum Inconclusive {
    /// The answer was 502, 503 or 504.
    Answered(Answer),
    /// No response head arrived. `sent` is false if the gateway could not connect.
    Silent { sent: bool, cause: String },
}

/// No try brought an answer.
pub(super) struct Unanswered {
    pub(super) refusal: Refusal,
    /// Why there was no connection, or why the connection broke; `None` after a timeout.
    pub(super) cause: Option<String>,
    /// Whether GoTrue may have received the request and acted on it.
    pub(super) unknown: bool,
}

impl From<Unanswered> for FetchError {
    fn from(Unanswered { refusal, cause, .. }: Unanswered) -> Self {
        Self { refusal, cause }
    }
}

impl From<Unanswered> for Refusal {
    fn from(unanswered: Unanswered) -> Self {
        unanswered.refusal
    }
}

impl Transport {
    /// The scheme of GoTrue's URL decides whether the certificates of the system are read.
    pub(super) fn new(config: &Config, metrics: Arc<Metrics>) -> Result<Self, HttpClientError> {
        let egress_proxy = config.upstream.egress_proxy.as_ref();
        let client = Client::builder()
            // The environment's proxies are meant for other programs: tokens go only where the configuration
            // says.
            .no_proxy();
        let client = match egress_proxy {
            Some(proxy) => client.proxy(Proxy::all(proxy.url())?),
            None => client,
        };
        let uses_tls = config.supabase.gotrue_url.scheme() == "https"
            || egress_proxy.is_some_and(|proxy| proxy.url().starts_with("https:"));
        let client = if uses_tls {
            client
        } else {
            // The system's certificates are not needed, and without any the client could not be built: the gateway
            // also runs in an empty root.
            client.tls_certs_only([])
        };
        let http = client
            // GoTrue does not redirect, so a server that does must not get the token.
            .redirect(redirect::Policy::none())
            // [`Transport::send`] retries and counts. hyper-util still repeats a request if a dead pooled
            // connection took no octet of it (`retry_canceled_requests`, which reqwest leaves on).
            .retry(reqwest::retry::never())
            // A small compressed body could fill the memory. Decompression is off even if another crate
            // enables these features of reqwest.
            .no_gzip()
            .no_brotli()
            .no_deflate()
            .no_zstd()
            // GoTrue speaks HTTP/1.1. With HTTP/2 one stuck connection would stop all requests.
            .http1_only()
            .http1_max_headers(MAX_HEADERS)
            .connect_timeout(CONNECT_TIMEOUT)
            // By default as many as there may be requests in flight, so that a burst of requests uses the
            // connections of the burst before it.
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .tcp_keepalive(KEEPALIVE)
            .tcp_keepalive_interval(KEEPALIVE)
            .tcp_keepalive_retries(KEEPALIVE_PROBES)
            // Each request is small and the client waits for its answer, so collecting octets for larger
            // packets only delays.
            .tcp_nodelay(true)
            .build()?;
        Ok(Self { http, settings: ConnectionSettings::new(config), metrics })
    }

    /// Sends the request. If no answer came, or its status says that a retry may succeed, sends it once more.
    pub(super) async fn send(
        &self,
        request: Request<'_>,
        deadline: Deadline,
    ) -> Result<Answer, Unanswered> {
        // The key set and the issuer are not retried here: `session::jwks` and `gateway::background` have their
        // own schedules.
        let has_schedule =
            matches!(request.operation, Operation::Jwks | Operation::OpenidConfiguration);
        let retries = usize::from(!has_schedule);
        let unknown = AtomicBool::new(false);
        let tries = (|| self.once(&request, deadline))
            .retry(
                ExponentialBuilder::default()
                    .with_jitter()
                    .with_min_delay(Duration::from_millis(50))
                    .with_max_times(retries),
            )
            .notify(|inconclusive, _| {
                let sent = !matches!(inconclusive, Inconclusive::Silent { sent: false, .. });
                unknown.store(sent, Ordering::Relaxed);
            });
        match timeout_at(deadline, tries).await {
            Ok(Ok(answer) | Err(Inconclusive::Answered(answer))) => {
                Ok(Answer { earlier_try_unknown: unknown.load(Ordering::Relaxed), ..answer })
            }
            Ok(Err(Inconclusive::Silent { cause, sent })) => {
                let unknown = sent || unknown.load(Ordering::Relaxed);
                let refusal = self.unanswered(&request, sent, &cause);
                Err(Unanswered { refusal, cause: Some(cause), unknown })
            }
            Err(_) => {
                log::timed_out(request.label());
                Err(Unanswered { refusal: Refusal::Timeout, cause: None, unknown: true })
            }
        }
    }

    async fn once(
        &self,
        request: &Request<'_>,
        deadline: Deadline,
    ) -> Result<Answer, Inconclusive> {
        let (operation, begun) = (request.operation, Instant::now());
        let span = traces::gotrue(operation.purpose(), &request.method, request.url);
        let result = TryResult::Timeout;
        let mut tried = Try { metrics: &self.metrics, operation, begun, result, span };
        let mut http = reqwest::Request::new(request.method.clone(), request.url.clone());
        *http.headers_mut() = request.headers();
        traces::pass_on(&tried.span, http.headers_mut());
        *http.body_mut() = request.body.clone().map(Into::into);
        let response = self.http.execute(http).await.map_err(|error| {
            tried.result = TryResult::Unavailable;
            Inconclusive::Silent { sent: !error.is_connect(), cause: causes(&error) }
        })?;
        let request_id = request.request_id().cloned();
        let answer = Answer::read(operation, request_id, response, deadline).await;
        tried.result = answer.result();
        traces::answered(&tried.span, answer.status);
        if answer.is_passing() { Err(Inconclusive::Answered(answer)) } else { Ok(answer) }
    }

    fn unanswered(&self, request: &Request<'_>, sent: bool, cause: &str) -> Refusal {
        if sent {
            log::broke_off(request.label(), cause);
            Refusal::NoAnswer
        } else {
            log::unreachable(request.label(), cause, self.settings);
            Refusal::Unavailable { retry_after: None }
        }
    }
}

/// The texts of the error's sources. The text of the error itself is left out, because it has the URL.
pub(crate) fn causes(error: &reqwest::Error) -> String {
    let sources = std::iter::successors(std::error::Error::source(error), |e| e.source());
    sources.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
