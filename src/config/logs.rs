//! The rules for the format and the filter of log lines.

use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::EnvFilter;

use super::{choice::Choice, error::Rule};

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Human-readable text.
    Text,
    /// A JSON object in each line.
    Json,
}

impl Choice for LogFormat {
    const CHOICES: &'static [(&'static str, Self)] = &[("text", Self::Text), ("json", Self::Json)];
}

pub(super) fn default_format() -> LogFormat {
    if stderr().is_terminal() { LogFormat::Text } else { LogFormat::Json }
}

/// The rule for a log filter. White space around each directive is removed, because `EnvFilter` would take it
/// for a part of the target, and panics if it is not ASCII.
pub(super) fn filter(text: &str) -> Result<String, Rule> {
    let directives: Vec<_> = text.split(',').map(str::trim).filter(|one| !one.is_empty()).collect();
    let filter = directives.join(",");
    // Return a fixed text: the error of `EnvFilter` may quote the value.
    if filter.is_empty() || EnvFilter::builder().parse(&filter).is_err() {
        return Err("must be a log filter such as `info` or `warn,audit=info`".into());
    }
    Ok(filter)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::tests::{errors_of, parse};

    #[rstest]
    #[case("info", "info")]
    #[case("warn, logout_gateway=debug,", "warn,logout_gateway=debug")]
    #[case("\u{3000}hyper=info", "hyper=info")]
    #[case("off", "off")]
    fn a_filter_is_trimmed(#[case] text: &str, #[case] filter: &str) {
        assert_eq!(parse(&[("RUST_LOG", text)]).logs.filter, filter);
    }

    #[rstest]
    #[case(" , ")]
    #[case("hyper=loud")]
    #[case("[span")]
    #[case("info,=")]
    fn a_bad_filter_is_refused(#[case] text: &str) {
        assert_eq!(errors_of(&[("RUST_LOG", text)]).len(), 1);
    }

    #[test]
    fn an_empty_endpoint_is_none() {
        assert_eq!(parse(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]).logs.otlp_endpoint, None);
    }
}
