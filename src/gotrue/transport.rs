//! Sending: deadline and one retry.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use axum::http::{HeaderMap, Method};
use backon::{ExponentialBuilder, Retryable};
use reqwest::{Client, Url, redirect};
use tokio::time::timeout_at;

use super::{
    Deadline, Refusal,
    answer::{Answer, Operation, printed},
    client::REQUEST_ID,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The HTTP client could not be set up: no TLS roots, say.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client could not be built")]
pub struct NoClient(#[from] reqwest::Error);

/// Connections of one runtime.
#[derive(Clone, Debug)]
pub(super) struct Transport(Client);

/// A try that brought no final answer.
enum Inconclusive {
    /// 502, 503 or 504.
    Answered(Answer),
    /// No head arrived; `sent` unless there was no connection at all.
    Silent { sent: bool, cause: String },
}

pub(super) struct Request<'a> {
    pub(super) operation: Operation,
    pub(super) method: Method,
    pub(super) url: &'a Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Vec<u8>>,
}

impl Request<'_> {
    /// For a log line: the request id and the operation.
    fn told(&self) -> (Option<&str>, &'static str) {
        (printed(self.headers.get(REQUEST_ID)), self.operation.as_str())
    }
}

impl Transport {
    pub(super) fn new() -> Result<Self, NoClient> {
        let http = Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_max_idle_per_host(1024)
            .http1_only()
            .tcp_nodelay(true)
            .build()?;
        Ok(Self(http))
    }

    /// Tries, and once more where it may help.
    pub(super) async fn send(
        &self,
        request: Request<'_>,
        deadline: Deadline,
    ) -> Result<Answer, Refusal> {
        // The key set has a schedule and a cooldown of its own.
        let retries = usize::from(request.operation != Operation::Jwks);
        let unknown = AtomicBool::new(false);
        let tries = (|| self.once(&request))
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
            Ok(Err(Inconclusive::Silent { cause, .. })) => Err(unreachable(&request, &cause)),
            Err(_) => {
                let (request_id, operation) = request.told();
                tracing::warn!(request_id, operation, "GoTrue did not answer in time");
                Err(Refusal::Timeout)
            }
        }
    }

    async fn once(&self, request: &Request<'_>) -> Result<Answer, Inconclusive> {
        let mut http = reqwest::Request::new(request.method.clone(), request.url.clone());
        http.headers_mut().clone_from(&request.headers);
        *http.body_mut() = request.body.clone().map(Into::into);
        let response = self.0.execute(http).await.map_err(|error| Inconclusive::Silent {
            sent: !error.is_connect(),
            cause: causes(&error),
        })?;
        let request_id = request.headers.get(REQUEST_ID).cloned();
        let answer = Answer::read(request.operation, request_id, response).await;
        if answer.is_passing() { Err(Inconclusive::Answered(answer)) } else { Ok(answer) }
    }
}

fn unreachable(request: &Request<'_>, cause: &str) -> Refusal {
    let (request_id, operation) = request.told();
    tracing::warn!(request_id, operation, cause, "GoTrue cannot be reached");
    Refusal::Unavailable
}

/// The error's own sources, without the URL that reqwest adds.
fn causes(error: &reqwest::Error) -> String {
    let sources = std::iter::successors(std::error::Error::source(error), |e| e.source());
    sources.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
