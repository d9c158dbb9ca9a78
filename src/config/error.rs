//! The errors of a configuration, collected over all settings.
//!
//! An error names the variable and the rule that its value breaks. An error never contains the value or a
//! part of it, so that printing the error reveals no secret.

use std::{borrow::Cow, ffi::OsString, fmt};

/// The rule for a value, phrased to follow the variable's name and a colon: "must be …".
pub(super) type Rule = Cow<'static, str>;

/// A variable whose value breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ConfigError {
    /// The environment variable, even if the value came from a flag.
    pub(crate) variable: &'static str,
    /// The rule that the value breaks.
    pub(crate) rule: Cow<'static, str>,
}

/// Every error of a configuration. `Display` writes one line for each error, without a newline after the
/// last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn add(&mut self, variable: &'static str, rule: impl Into<Rule>) {
        self.0.push(ConfigError { variable, rule: rule.into() });
    }

    /// Adds an error about the first of `variables`, whose values contradict each other. Adds nothing if one of
    /// them, or the variable of its file, has an error already, because the compared value is then only the
    /// default.
    pub(super) fn add_conflict<const N: usize>(
        &mut self,
        variables: [&'static str; N],
        rule: &'static str,
    ) {
        let is_of = |error: &ConfigError, variable: &str| {
            error.variable.strip_suffix("_FILE").unwrap_or(error.variable) == variable
        };
        let has_error = |variable: &&str| self.0.iter().any(|error| is_of(error, variable));
        if let Some(variable) = variables.first()
            && !variables.iter().any(has_error)
        {
            self.add(variable, rule);
        }
    }

    /// The raw value of a variable as text. Returns `None` and adds an error if it is not UTF-8.
    pub(super) fn text(&mut self, variable: &'static str, raw: OsString) -> Option<String> {
        raw.into_string().map_err(|_| self.add(variable, "must be valid UTF-8")).ok()
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.variable, self.rule)
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
