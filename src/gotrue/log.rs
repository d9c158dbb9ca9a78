//! Log lines about failures of GoTrue, and about answers that GoTrue itself never gives.
//!
//! Any client can cause such lines, with every request. So at most 20 of each kind are written in a second,
//! and then one line with the number of the rest: a flood of them hides no other warning.

pub(super) mod unanswered;

use std::time::Instant;

use axum::http::HeaderValue;

pub(crate) use self::unanswered::ConnectionSettings;
pub(super) use self::unanswered::{broke_off, timed_out, unreachable};
use super::Refusal;
use crate::{operation::gotrue::Operation, telemetry::line_limit::LineLimit};

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
