//! Settings whose value is one of a few fixed words.

use super::error::Rule;

/// A setting whose value is one of a few fixed words.
pub(super) trait Choice: Copy + PartialEq + 'static {
    /// Each permitted word with its value.
    const CHOICES: &'static [(&'static str, Self)];
}

impl Choice for bool {
    const CHOICES: &'static [(&'static str, Self)] = &[("true", true), ("false", false)];
}

/// Parses the text of a setting that is a [`Choice`]: the text must be one of the words of
/// [`Choice::CHOICES`], in the same case, or the error lists these words.
pub(super) fn choice<T: Choice>(text: &str) -> Result<T, Rule> {
    let chosen = T::CHOICES.iter().find(|(word, _)| *word == text).map(|&(_, value)| value);
    chosen.ok_or_else(|| {
        let words: Vec<_> = T::CHOICES.iter().map(|(word, _)| format!("`{word}`")).collect();
        format!("must be {}", words.join(" or ")).into()
    })
}
