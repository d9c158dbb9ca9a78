//! The goals, each with what was measured.

use std::fmt::{Display, Formatter, Result};

use serde_json::{Value, json};

use super::report::Series;

#[derive(Clone, Copy)]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

#[derive(Clone)]
pub(crate) struct Goal {
    text: String,
    bound: Bound,
    /// The median of the rounds; `None` if a subject is missing.
    measured: Option<f64>,
}

impl Goal {
    pub(crate) fn new(text: impl Into<String>, bound: Bound, measured: Option<&Series>) -> Self {
        Self { text: text.into(), bound, measured: measured.map(Series::median) }
    }

    fn verdict(&self) -> &'static str {
        let is_met = self.measured.map(|measured| match self.bound {
            Bound::AtMost(most) => measured <= most,
            Bound::AtLeast(least) => measured >= least,
        });
        match is_met {
            Some(true) => "met",
            Some(false) => "not met",
            None => "not measured",
        }
    }

    pub(crate) fn json(&self) -> Value {
        let (kind, bound) = match self.bound {
            Bound::AtMost(most) => ("at_most", most),
            Bound::AtLeast(least) => ("at_least", least),
        };
        json!({"goal": self.text, kind: bound, "measured": self.measured, "verdict": self.verdict()})
    }
}

impl Display for Goal {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let bound = match self.bound {
            Bound::AtMost(most) => format!("at most {most}"),
            Bound::AtLeast(least) => format!("at least {least}"),
        };
        let measured = self.measured.map_or("-".to_owned(), |measured| format!("{measured:.3}"));
        write!(f, "{:<12} {measured:>8}  {bound:<14} {}", self.verdict(), self.text)
    }
}
