//! Log lines about failures of GoTrue, and about answers that GoTrue itself never gives.
//!
//! Any client can cause such lines, with every request. So at most 20 of each kind are written in a second,
//! and then one line with the number of the rest: a flood of them hides no other warning.

use std::time::Instant;

use axum::http::HeaderValue;

use super::Refusal;
use crate::{config::Config, operation::gotrue::Operation, telemetry::line_limit::LineLimit};

const LINES_EACH_SECOND: u32 = 20;

/// The limits are shared by all threads, because all threads write to one log.
static FAILURES: LineLimit = LineLimit::new(LINES_EACH_SECOND);
static UNEXPECTED_ANSWERS: LineLimit = LineLimit::new(LINES_EACH_SECOND);

/// nginx's internal status for a request head over its limit. Some releases of Kong send it to the client.
const HEAD_TOO_LARGE_AT_NGINX: u16 = 494;

/// What an operator should check if the egress proxy answers with 407.
const PROXY_PASSWORD_ADVICE: &str = "check the user and the password in GATEWAY_EGRESS_PROXY";

/// The fields by which log lines name a request to GoTrue.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestLabel<'a> {
    /// The id of the client's request; `None` for a request of the gateway itself, such as a fetch of the key set.
    request_id: Option<&'a str>,
    operation: &'static str,
}

impl<'a> RequestLabel<'a> {
    pub(super) fn new(request_id: Option<&'a HeaderValue>, operation: Operation) -> Self {
        let request_id = request_id.and_then(|id| id.to_str().ok());
        Self { request_id, operation: operation.as_str() }
    }
}

/// No answer came before the deadline.
pub(super) fn timed_out(RequestLabel { request_id, operation }: RequestLabel<'_>) {
    if is_admitted(&FAILURES) {
        tracing::warn!(
            request_id,
            operation,
            "GoTrue did not answer within GATEWAY_UPSTREAM_TIMEOUT: check its load and its log"
        );
    }
}

/// The gateway sent the request, and no answer came.
pub(super) fn broke_off(RequestLabel { request_id, operation }: RequestLabel<'_>, cause: &str) {
    if is_admitted(&FAILURES) {
        tracing::warn!(
            request_id,
            operation,
            cause,
            "the connection to GoTrue broke before an answer came: check GoTrue and any proxy in front of it"
        );
    }
}

/// The gateway could not connect.
pub(super) fn unreachable(
    RequestLabel { request_id, operation }: RequestLabel<'_>,
    cause: &str,
    settings: ConnectionSettings,
) {
    if is_admitted(&FAILURES) {
        tracing::warn!(
            request_id,
            operation,
            cause,
            "the gateway cannot connect to GoTrue: {}",
            settings.advice(cause)
        );
    }
}

/// The settings that an operator should check if the gateway cannot connect to GoTrue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionSettings {
    gotrue_variable: &'static str,
    has_egress_proxy: bool,
}

impl ConnectionSettings {
    pub(crate) fn new(config: &Config) -> Self {
        let gotrue_variable = config.supabase.gotrue_variable();
        Self { gotrue_variable, has_egress_proxy: config.upstream.egress_proxy.is_some() }
    }

    /// What an operator should check for this cause. With an egress proxy, the proxy may be the reason.
    pub(super) fn advice(self, cause: &str) -> String {
        let Self { gotrue_variable, has_egress_proxy } = self;
        // rustls begins the text of every error about a certificate with these words.
        if cause.contains("invalid peer certificate") {
            format!(
                "check the certificate of {gotrue_variable}; if your own certificate authority signed it, name that \
                 authority's file in SSL_CERT_FILE"
            )
        } else if cause.contains("proxy authorization required") {
            // With this text, hyper-util reports that a proxy answered CONNECT with 407.
            PROXY_PASSWORD_ADVICE.to_owned()
        } else if has_egress_proxy {
            format!("check the proxy in GATEWAY_EGRESS_PROXY, {gotrue_variable} and the network")
        } else {
            format!("check {gotrue_variable} and the network")
        }
    }
}

/// GoTrue refused the request. A refusal is not logged if an operator can do nothing about it.
pub(super) fn refused(label: RequestLabel<'_>, status: u16, code: Option<&str>, refusal: &Refusal) {
    let (RequestLabel { request_id, operation }, code) = (label, printable(code));
    match refusal {
        Refusal::Unexpected if is_admitted(&UNEXPECTED_ANSWERS) => {
            let advice = match status {
                407 => PROXY_PASSWORD_ADVICE,
                401 | 403 => "check SUPABASE_PUBLISHABLE_KEY or SUPABASE_ANON_KEY, and GOTRUE_URL",
                400 | 413 | 414 | 431 | HEAD_TOO_LARGE_AT_NGINX => {
                    "if a proxy in front of GoTrue answered it, raise that proxy's limit for \
                     request heads"
                }
                _ => "check that GOTRUE_URL leads to GoTrue and not to another server",
            };
            tracing::warn!(
                request_id,
                operation,
                status,
                code,
                advice,
                "the gateway got an answer that GoTrue itself never gives: the request had no effect"
            );
        }
        refusal if refusal.is_passing() && is_admitted(&FAILURES) => {
            tracing::warn!(request_id, operation, status, code, cause = %refusal, "GoTrue failed: check its log");
        }
        _ => {}
    }
}

/// Logs the number of lines that were left out since the last call. A background task calls it once a second.
pub(crate) fn report_omitted_lines() {
    let (failures, answers) = (FAILURES.take_omitted(), UNEXPECTED_ANSWERS.take_omitted());
    if failures > 0 {
        tracing::warn!(
            omitted = failures,
            "the log left out warnings about failures of GoTrue, more than 20 in one second: \
             logout_gateway_gotrue_requests_total counts them all"
        );
    }
    if answers > 0 {
        tracing::warn!(
            omitted = answers,
            "the log left out warnings about answers that GoTrue itself never gives, more than 20 in one second: \
             logout_gateway_gotrue_requests_total counts them all"
        );
    }
}

fn is_admitted(limit: &LineLimit) -> bool {
    limit.admits(Instant::now())
}

/// The code if it looks like one of GoTrue's: no other text of an answer may reach the log.
fn printable(code: Option<&str>) -> &str {
    match code {
        None => "none",
        Some(code)
            if code.len() <= 64 && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') =>
        {
            code
        }
        Some(_) => "unprintable",
    }
}
