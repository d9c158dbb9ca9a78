//! Log lines about requests that got no answer. The command `check` leaves these lines out, because it prints the
//! causes itself.

use super::{FAILURES, PROXY_PASSWORD_ADVICE, Refusal, RequestLabel, is_admitted};
use crate::config::Config;

/// The target of these lines.
pub(crate) const TARGET: &str = module_path!();

/// What an operator should check after a timeout.
const SLOW_ADVICE: &str = "check its load and its log";
/// What an operator should check after a connection broke.
const BROKEN_ADVICE: &str = "check GoTrue and any proxy in front of it";

/// No answer came before the deadline.
pub(in crate::gotrue) fn timed_out(RequestLabel { request_id, operation }: RequestLabel<'_>) {
    if is_admitted(&FAILURES) {
        tracing::warn!(
            request_id,
            operation,
            "GoTrue did not answer within GATEWAY_UPSTREAM_TIMEOUT: {SLOW_ADVICE}"
        );
    }
}

/// The gateway sent the request, and no answer came.
pub(in crate::gotrue) fn broke_off(
    RequestLabel { request_id, operation }: RequestLabel<'_>,
    cause: &str,
) {
    if is_admitted(&FAILURES) {
        tracing::warn!(
            request_id,
            operation,
            cause,
            "the connection to GoTrue broke before an answer came: {BROKEN_ADVICE}"
        );
    }
}

/// The gateway could not connect.
pub(in crate::gotrue) fn unreachable(
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
            settings.connection_advice(cause)
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

    /// What an operator should check after this refusal.
    pub(in crate::gotrue) fn advice(self, refusal: &Refusal, cause: &str) -> String {
        match refusal {
            Refusal::Timeout => format!("{SLOW_ADVICE}, and GATEWAY_UPSTREAM_TIMEOUT"),
            Refusal::NoAnswer => BROKEN_ADVICE.to_owned(),
            _ => self.connection_advice(cause),
        }
    }

    /// With an egress proxy, the proxy may be the reason.
    fn connection_advice(self, cause: &str) -> String {
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
