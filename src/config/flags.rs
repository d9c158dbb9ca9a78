//! The sources of a setting's value: its flag, its variable, and the file that `<VARIABLE>_FILE` names.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs,
};

use clap::{Arg, builder::ValueParser};

use super::error::{ConfigErrors, Rule};

/// Where a setting's value may come from, besides its variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Its flag.
    Flag,
    /// A file. A secret has no flag, because other users of the machine can read a process's flags.
    File,
    /// Its flag, or a file.
    FlagOrFile,
}

/// The definition of a setting's flag and variables, and its help text.
pub(super) struct Setting {
    pub(super) heading: &'static str,
    pub(super) source: Source,
    pub(super) variable: &'static str,
    /// `<VARIABLE>_FILE`
    pub(super) file_variable: &'static str,
    pub(super) value_name: &'static str,
    /// The lines of the help text.
    pub(super) help: &'static [&'static str],
}

/// The raw values of the settings, by environment variable. A flag takes precedence over its variable.
///
/// `Debug` is not implemented, because some values are secrets.
pub struct Args(pub(super) BTreeMap<&'static str, OsString>);

impl Args {
    /// Parses a setting with `rule`: its raw value, or the content of the file that the value of `file_variable`
    /// names. `None` if neither is set, or after an error, which is added to `errors`.
    pub(super) fn read<T>(
        &mut self,
        variable: &'static str,
        file_variable: &'static str,
        rule: impl FnOnce(&str) -> Result<T, Rule>,
        errors: &mut ConfigErrors,
    ) -> Option<T> {
        let (variable, text) = self.text(variable, file_variable, errors)?;
        rule(&text).map_err(|rule| errors.add(variable, rule)).ok()
    }

    /// The text of a setting, and the variable that it came from. A function of its own, so that it is compiled once and
    /// not for each rule.
    fn text(
        &mut self,
        variable: &'static str,
        file_variable: &'static str,
        errors: &mut ConfigErrors,
    ) -> Option<(&'static str, String)> {
        match (self.take(variable), self.take(file_variable)) {
            (Some(_), Some(_)) => {
                errors.add(file_variable, format!("must not be set beside {variable}"));
                None
            }
            (Some(value), None) => Some((variable, errors.text(variable, value)?)),
            (None, Some(path)) => match read_file(&path) {
                Ok(text) => Some((file_variable, text)),
                Err(cause) => {
                    errors.add(file_variable, cause);
                    None
                }
            },
            (None, None) => None,
        }
    }

    /// Removes and returns a raw value; `None` if it is not set. An empty value counts as not set, because Docker
    /// Compose can pass an unset variable as an empty one. Only an empty `GATEWAY_SECRET` is returned, so that
    /// its rule refuses it: otherwise the gateway would start with a random secret.
    fn take(&mut self, variable: &str) -> Option<OsString> {
        self.0.remove(variable).filter(|value| !value.is_empty() || variable == "GATEWAY_SECRET")
    }

    pub(super) fn contains(&self, variable: &str) -> bool {
        self.0.get(variable).is_some_and(|value| !value.is_empty())
    }
}

/// Reads a file without the line break at its end, if there is one. An empty file is an error.
fn read_file(path: &OsStr) -> Result<String, Rule> {
    let content = fs::read_to_string(path).map_err(|cause| format!("cannot be read: {cause}"))?;
    let line = content.strip_suffix('\n').unwrap_or(&content);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() { Err("names an empty file".into()) } else { Ok(line.to_owned()) }
}

impl Setting {
    /// The setting's flag; `None` if it has no flag. Clap accepts any bytes as its value, even with a leading
    /// hyphen. So clap never refuses a value, and prints no secret in an error.
    pub(super) fn arg(&self) -> Option<Arg> {
        if self.source == Source::File {
            return None;
        }
        let mut help = self.help();
        if self.source == Source::FlagOrFile {
            help = format!("{help}. `{}` may name a file with the value", self.file_variable);
        }
        let arg = Arg::new(self.variable)
            .long(self.flag())
            .env(self.variable)
            .value_name(self.value_name)
            .value_parser(ValueParser::os_string())
            .help(help)
            .help_heading(self.heading)
            .hide_env_values(true)
            .allow_hyphen_values(true);
        Some(arg)
    }

    /// The name of the flag, without the hyphens.
    pub(super) fn flag(&self) -> String {
        match self.variable {
            "RUST_LOG" => "log-filter".to_owned(),
            "OTEL_EXPORTER_OTLP_ENDPOINT" => "otlp-endpoint".to_owned(),
            variable => variable.trim_start_matches("GATEWAY_").to_lowercase().replace('_', "-"),
        }
    }

    /// The variable of this setting that `name` means: the variable itself, the variable of its file, or the flag
    /// without its hyphens. `None` if `name` is not of this setting.
    pub(super) fn variable_named(&self, name: &str) -> Option<&'static str> {
        if name == self.file_variable {
            return Some(self.file_variable);
        }
        (name == self.variable || name == self.flag()).then_some(self.variable)
    }

    /// The help text in one line.
    pub(super) fn help(&self) -> String {
        let lines: Vec<_> = self.help.iter().map(|line| line.trim()).collect();
        lines.join(" ")
    }
}
