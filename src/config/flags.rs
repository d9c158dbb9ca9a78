//! The command-line flag of each setting, and the raw values of all settings.

use std::{collections::BTreeMap, ffi::OsString};

use clap::{Arg, builder::ValueParser};

/// The definition of a setting's flag and of its help text.
pub(super) struct Setting {
    pub(super) heading: &'static str,
    pub(super) variable: &'static str,
    pub(super) value_name: &'static str,
    /// The lines of the help text.
    pub(super) help: &'static [&'static str],
}

/// The raw values of the settings, by environment variable. A flag takes precedence over its variable.
///
/// `Debug` is not implemented, because some values are secrets.
pub struct Args(pub(super) BTreeMap<&'static str, OsString>);

impl Args {
    /// Removes and returns the raw value of a setting; `None` if it is not set.
    pub(super) fn take(&mut self, variable: &str) -> Option<OsString> {
        self.0.remove(variable)
    }

    pub(super) fn contains(&self, variable: &str) -> bool {
        self.0.contains_key(variable)
    }
}

impl Setting {
    /// The setting's flag. Clap accepts any bytes as its value, even with a leading hyphen. So clap never
    /// refuses a value, and prints no secret in an error.
    pub(super) fn arg(&self) -> Arg {
        let flag = match self.variable {
            "RUST_LOG" => "log-filter".to_owned(),
            "OTEL_EXPORTER_OTLP_ENDPOINT" => "otlp-endpoint".to_owned(),
            variable => variable.trim_start_matches("GATEWAY_").to_lowercase().replace('_', "-"),
        };
        let help: Vec<_> = self.help.iter().map(|line| line.trim()).collect();
        Arg::new(self.variable)
            .long(flag)
            .env(self.variable)
            .value_name(self.value_name)
            .value_parser(ValueParser::os_string())
            .help(help.join(" "))
            .help_heading(self.heading)
            .hide_env_values(true)
            .allow_hyphen_values(true)
    }
}
