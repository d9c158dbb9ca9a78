//! The errors of a configuration, all settings at once.
//!
//! An error names the variable and the rule that its value breaks. It never contains the value or a part of it,
//! so it may be printed where a secret may not.

use std::{borrow::Cow, ffi::OsString, fmt};

/// What a value must be, as the end of the sentence "`GATEWAY_…`: must be …".
pub(super) type Rule = Cow<'static, str>;

/// A variable whose value breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ConfigError {
    /// The environment variable, also if the value came from a flag.
    pub(crate) variable: &'static str,
    /// What its value must be.
    pub(crate) rule: Cow<'static, str>,
}

/// Every error of a configuration. Its `Display` has a line for each, without a newline at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn add(&mut self, variable: &'static str, rule: impl Into<Rule>) {
        self.0.push(ConfigError { variable, rule: rule.into() });
    }

    /// Adds an error about the first of these variables, unless one of them has an error already: then its value is
    /// a default, which the rule is not about.
    pub(super) fn add_conflict<const N: usize>(
        &mut self,
        variables: [&'static str; N],
        rule: &'static str,
    ) {
        let has_error = |variable: &&str| self.0.iter().any(|error| error.variable == *variable);
        if let Some(variable) = variables.first()
            && !variables.iter().any(has_error)
        {
            self.add(variable, rule);
        }
    }

    /// Parses the value of a variable. `None` if there is no value, or if it breaks the rule, which is added.
    pub(super) fn read<T>(
        &mut self,
        variable: &'static str,
        raw: Option<OsString>,
        rule: impl FnOnce(&str) -> Result<T, Rule>,
    ) -> Option<T> {
        let raw = raw?;
        let text = raw.to_str().ok_or(Rule::Borrowed("must be valid UTF-8"));
        text.and_then(rule).map_err(|rule| self.add(variable, rule)).ok()
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
