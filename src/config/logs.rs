//! How the gateway can be watched.

use std::{
    ffi::OsString,
    io::{IsTerminal, stderr},
};

use clap::Args;
use tracing_subscriber::EnvFilter;
use url::Url;

use super::{
    error::{ConfigErrors, Noted, Rule},
    rules::{base_url, one_of, unless_empty},
};

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Args)]
#[command(next_help_heading = "Logs and traces")]
pub(super) struct LogArgs {
    /// How log lines look: `text` or `json`. Default: `text` on a terminal, else `json`
    #[arg(long, env = "GATEWAY_LOG_FORMAT", value_name = "FORMAT")]
    log_format: Option<OsString>,
    /// What is logged: comma-separated levels (`error`, `warn`, `info`, `debug`, `trace`, `off`), also
    /// by target (`audit=off`). Default: `info`
    #[arg(long, env = "RUST_LOG", value_name = "FILTER")]
    log_filter: Option<OsString>,
    /// Where traces go by OTLP over HTTP, such as `http://localhost:4318`. Default: none are made
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    otlp_endpoint: Option<OsString>,
}

pub(super) struct Logs {
    pub(super) format: LogFormat,
    pub(super) filter: String,
    pub(super) otlp_endpoint: Option<Url>,
}

impl Logs {
    pub(super) fn read(args: LogArgs, faults: &mut ConfigErrors) -> Result<Self, Noted> {
        let default = if stderr().is_terminal() { LogFormat::Text } else { LogFormat::Json };
        let formats = one_of(&[("text", LogFormat::Text), ("json", LogFormat::Json)]);
        let format = faults.or("GATEWAY_LOG_FORMAT", args.log_format, default, formats);
        let filter = faults.or("RUST_LOG", args.log_filter, "info".to_owned(), filter);
        let endpoint = unless_empty(args.otlp_endpoint);
        let endpoint = faults.optional("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint, base_url);
        Ok(Self { format: format?, filter: filter?, otlp_endpoint: endpoint? })
    }
}

/// A filter with every directive trimmed: `EnvFilter` takes a blank for a part of the target, and panics
/// where the blank is not ASCII.
fn filter(text: &str) -> Result<String, Rule> {
    let directives: Vec<_> = text.split(',').map(str::trim).filter(|one| !one.is_empty()).collect();
    let filter = directives.join(",");
    // Its error may repeat the text.
    if filter.is_empty() || EnvFilter::builder().parse(&filter).is_err() {
        return Err("must be a log filter such as `info` or `warn,audit=info`".into());
    }
    Ok(filter)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::tests::{faults_of, parse};

    #[rstest]
    #[case("info", "info")]
    #[case("warn, logout_gateway=debug,", "warn,logout_gateway=debug")]
    #[case("\u{3000}hyper=info", "hyper=info")]
    #[case("off", "off")]
    fn a_filter_is_trimmed(#[case] text: &str, #[case] filter: &str) {
        assert_eq!(parse(&[("RUST_LOG", text)]).log_filter, filter);
    }

    #[rstest]
    #[case("")]
    #[case(" , ")]
    #[case("hyper=loud")]
    #[case("[span")]
    #[case("info,=")]
    fn a_bad_filter_is_refused(#[case] text: &str) {
        assert_eq!(faults_of(&[("RUST_LOG", text)]).len(), 1);
    }

    #[test]
    fn an_empty_endpoint_is_none() {
        assert_eq!(parse(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]).otlp_endpoint, None);
    }
}
