//! The rules for the format and the filter of log lines.

use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::filter::Targets;

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

/// The rule for a log filter: levels, also by target. There are no filters by span or by field, because
/// `EnvFilter`, which has them, brings 400 KB of regular expressions. White space around each directive is
/// removed, because `Targets` would take it for a part of the target.
pub(super) fn filter(text: &str) -> Result<Targets, Rule> {
    let directives: Vec<_> = text.split(',').map(str::trim).filter(|one| !one.is_empty()).collect();
    let target_char = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '-');
    let is_valid = |directive: &&str| {
        let target = directive.split('=').next().unwrap_or_default();
        !target.is_empty() && target.chars().all(target_char)
    };
    let targets = directives.join(",").parse().ok();
    let targets = targets.filter(|_| !directives.is_empty() && directives.iter().all(is_valid));
    // Return a fixed text: the error of `Targets` may quote the value.
    targets.ok_or_else(|| "must be a log filter such as `info` or `warn,audit=info`".into())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::tests::{errors_of, parse};

    #[rstest]
    #[case("info", "info")]
    #[case("warn, logout_gateway=debug,", "logout_gateway=debug,warn")]
    #[case("\u{3000}hyper=info", "hyper=info")]
    #[case("off", "off")]
    #[case("hyper", "hyper=trace")]
    fn a_filter_is_trimmed(#[case] text: &str, #[case] filter: &str) {
        assert_eq!(parse(&[("RUST_LOG", text)]).logs.filter.to_string(), filter);
    }

    #[rstest]
    #[case(" , ")]
    #[case("hyper=loud")]
    #[case("[span")]
    #[case("info,=")]
    #[case("a=b=info")]
    #[case("logout_gateway[request{id}]=debug")]
    fn a_bad_filter_is_refused(#[case] text: &str) {
        assert_eq!(errors_of(&[("RUST_LOG", text)]).len(), 1);
    }

    #[test]
    fn an_empty_endpoint_is_none() {
        assert_eq!(parse(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]).logs.otlp_endpoint, None);
    }
}
