//! Settings with a few values, each of which has a word.

use super::error::Rule;

/// A setting with a few values, each of which has a word.
pub(super) trait Choice: Copy + PartialEq + 'static {
    /// The words and their values.
    const CHOICES: &'static [(&'static str, Self)];
}

impl Choice for bool {
    const CHOICES: &'static [(&'static str, Self)] = &[("true", true), ("false", false)];
}

/// One of a few words, exactly as [`Choice::CHOICES`] has it.
pub(super) fn choice<T: Choice>(text: &str) -> Result<T, Rule> {
    let chosen = T::CHOICES.iter().find(|(word, _)| *word == text).map(|&(_, value)| value);
    chosen.ok_or_else(|| {
        let words: Vec<_> = T::CHOICES.iter().map(|(word, _)| format!("`{word}`")).collect();
        format!("must be {}", words.join(" or ")).into()
    })
}
