//! What is wrong with a configuration: every fault of every variable at once.
//!
//! A fault tells the variable and the rule it breaks. It never repeats the value or any part of it,
//! so faults may be printed wherever a secret may not.

use std::{borrow::Cow, ffi::OsString, fmt};

/// What a value must be, as the end of the sentence "`GATEWAY_…`: must be …".
pub(super) type Rule = Cow<'static, str>;

/// One rule that one variable breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The environment variable, whichever way its value came.
    pub variable: &'static str,
    /// What its value must be.
    pub rule: Cow<'static, str>,
}

/// Every fault of a configuration, group by group; its `Display` has one line each, the last without an
/// end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigErrors(Vec<ConfigError>);

/// There is no value, and the reason is among the [`ConfigErrors`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Noted(());

impl ConfigErrors {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn note(&mut self, variable: &'static str, rule: impl Into<Rule>) -> Noted {
        self.0.push(ConfigError { variable, rule: rule.into() });
        Noted(())
    }

    /// A variable that may be absent.
    pub(super) fn optional<T>(
        &mut self,
        variable: &'static str,
        raw: Option<OsString>,
        rule: impl FnOnce(&str) -> Result<T, Rule>,
    ) -> Result<Option<T>, Noted> {
        let Some(raw) = raw else { return Ok(None) };
        raw.to_str()
            .ok_or(Rule::Borrowed("must be valid UTF-8"))
            .and_then(rule)
            .map(Some)
            .map_err(|rule| self.note(variable, rule))
    }

    /// A variable that has a default.
    pub(super) fn or<T>(
        &mut self,
        variable: &'static str,
        raw: Option<OsString>,
        default: T,
        rule: impl FnOnce(&str) -> Result<T, Rule>,
    ) -> Result<T, Noted> {
        Ok(self.optional(variable, raw, rule)?.unwrap_or(default))
    }

    /// A variable that must be given.
    pub(super) fn required<T>(
        &mut self,
        variable: &'static str,
        raw: Option<OsString>,
        rule: impl FnOnce(&str) -> Result<T, Rule>,
    ) -> Result<T, Noted> {
        self.optional(variable, raw, rule)?.ok_or_else(|| self.note(variable, "is required"))
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.variable, self.rule)
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            let line_end = if index == 0 { "" } else { "\n" };
            write!(f, "{line_end}{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
