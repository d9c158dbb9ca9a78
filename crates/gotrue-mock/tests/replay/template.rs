//! Compares a value with a recorded one. Placeholders such as `<user:1>` stand in it for what differs from run to run.
//!
//! 1. A placeholder with a number stands for the same text wherever it stands in its scenario.
//! 2. `<time>`, `<unix-time>` and `<n>` stand for any time (RFC 3339), time (seconds since the Unix epoch) and number.

mod placeholder;

use std::{collections::HashMap, time::SystemTime};

use serde_json::{Map, Value};

use self::placeholder::{Part, may_stand_for, parts};
use crate::recording::local_text;

/// The texts that the placeholders of a scenario stand for.
#[derive(Debug)]
pub(crate) struct Bindings {
    texts: HashMap<String, String>,
    /// The mock's address, which stands for the recorded server's.
    address: String,
}

impl Bindings {
    pub(crate) fn new(address: String) -> Self {
        Self { texts: HashMap::new(), address }
    }

    pub(crate) fn bind(&mut self, placeholder: &str, text: &str) {
        self.texts.insert(placeholder.to_owned(), text.to_owned());
    }

    /// The placeholders of this kind that are known.
    pub(crate) fn names_of(&self, kind: &str) -> Vec<String> {
        let prefix = format!("<{kind}:");
        self.texts.keys().filter(|name| name.starts_with(&prefix)).cloned().collect()
    }

    /// Binds `<totp:1>` to the code of `<totp-secret:1>` at this time, and so on.
    pub(crate) fn bind_totp_codes(&mut self, now: SystemTime) {
        for name in self.names_of("totp-secret") {
            let code = self.get(&name).and_then(|secret| gotrue_mock::totp_code(secret, now));
            self.texts.extend(code.map(|code| (name.replace("-secret", ""), code)));
        }
    }

    pub(crate) fn get(&self, placeholder: &str) -> Option<&str> {
        self.texts.get(placeholder).map(String::as_str)
    }

    /// The recorded text with the placeholders replaced.
    ///
    /// # Errors
    /// The first placeholder that no reply has brought yet.
    pub(crate) fn fill(&self, recorded: &str) -> Result<String, String> {
        let recorded = local_text(recorded, &self.address);
        if let Some(count) = recorded.strip_prefix('<').and_then(|r| r.strip_suffix(" letters>")) {
            return Ok("x".repeat(count.parse().map_err(|_| recorded.clone())?));
        }
        let mut filled = String::new();
        for part in parts(&recorded) {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Placeholder(name) => {
                    let bound = self.get(name);
                    filled.push_str(bound.ok_or_else(|| format!("{name} is not known"))?);
                }
            }
        }
        Ok(filled)
    }

    /// The recorded value with the placeholders replaced in all texts and names.
    pub(crate) fn fill_value(&self, recorded: &Value) -> Result<Value, String> {
        Ok(match recorded {
            Value::String(text) => Value::String(self.fill(text)?),
            Value::Array(items) => Value::Array(
                items.iter().map(|item| self.fill_value(item)).collect::<Result<_, _>>()?,
            ),
            Value::Object(members) => Value::Object(
                members
                    .iter()
                    .map(|(name, value)| Ok((self.fill(name)?, self.fill_value(value)?)))
                    .collect::<Result<_, String>>()?,
            ),
            other => other.clone(),
        })
    }

    /// Compares a text with a recorded one, and learns what its new placeholders stand for.
    pub(crate) fn matches_text(&mut self, recorded: &str, actual: &str) -> bool {
        let recorded = local_text(recorded, &self.address);
        let parts = parts(&recorded);
        let Some(learned) = self.learn(&parts, actual, &HashMap::new()) else { return false };
        self.texts.extend(learned);
        true
    }

    fn learn(
        &self,
        parts: &[Part<'_>],
        actual: &str,
        learned: &HashMap<String, String>,
    ) -> Option<HashMap<String, String>> {
        match parts {
            [] => actual.is_empty().then(|| learned.clone()),
            // A text that was left out of the recording.
            [Part::Text(text), rest @ ..] if text.contains(SHORTENED) => {
                let (before, after) = text.split_once(SHORTENED)?;
                let remainder = actual.strip_prefix(before)?;
                let end = remainder.find(after)? + after.len();
                self.learn(rest, remainder.split_at(end).1, learned)
            }
            [Part::Text(text), rest @ ..] => self.learn(rest, actual.strip_prefix(text)?, learned),
            [Part::Placeholder(name), rest @ ..] => {
                let known = self.get(name).or_else(|| learned.get(*name).map(String::as_str));
                if let Some(known) = known {
                    return self.learn(rest, actual.strip_prefix(known)?, learned);
                }
                let ends = (1..=actual.len()).filter(|end| actual.is_char_boundary(*end));
                ends.rev().find_map(|end| {
                    let (text, remainder) = actual.split_at(end);
                    if !may_stand_for(name, text) {
                        return None;
                    }
                    let mut learned = learned.clone();
                    if name.contains(':') {
                        learned.insert((*name).to_owned(), text.to_owned());
                    }
                    self.learn(rest, remainder, &learned)
                })
            }
        }
    }

    /// Compares a value with a recorded one. The difference names its place, such as `.user.email`.
    pub(crate) fn matches(
        &mut self,
        recorded: &Value,
        actual: &Value,
        place: &str,
    ) -> Result<(), String> {
        let is_shortened = recorded.get(SHORTENED).is_some();
        self.compare(recorded, actual, place, is_shortened)
    }

    fn compare(
        &mut self,
        recorded: &Value,
        actual: &Value,
        place: &str,
        is_shortened: bool,
    ) -> Result<(), String> {
        let differs = || Err(format!("{place}: recorded {recorded}, actual {actual}"));
        match (recorded, actual) {
            (Value::String(text), Value::String(actual)) if text.starts_with(PICTURE) => {
                if actual.starts_with("<?xml version=\"1.0\"?>\n") { Ok(()) } else { differs() }
            }
            (Value::String(text), Value::String(actual)) => {
                if self.matches_text(text, actual) {
                    Ok(())
                } else {
                    differs()
                }
            }
            (Value::String(text), Value::Number(_)) if matches!(&**text, "<unix-time>" | "<n>") => {
                Ok(())
            }
            // A long list of which only the length was recorded.
            (Value::String(text), Value::Array(items))
                if *text == format!("<{} of them>", items.len()) =>
            {
                Ok(())
            }
            // The page of a redirect has the address of `Location`.
            (Value::Array(items), Value::Array(actual_items))
                if items.len() == actual_items.len() =>
            {
                let pairs = items.iter().zip(actual_items).enumerate();
                pairs.into_iter().try_for_each(|(index, (item, actual))| {
                    self.compare(item, actual, &format!("{place}[{index}]"), is_shortened)
                })
            }
            (Value::Object(members), Value::Object(actual_members)) => {
                self.compare_members(members, actual_members, place, is_shortened)
            }
            (recorded, actual) if recorded == actual => Ok(()),
            _ => differs(),
        }
    }

    fn compare_members(
        &mut self,
        members: &Map<String, Value>,
        actual_members: &Map<String, Value>,
        place: &str,
        is_shortened: bool,
    ) -> Result<(), String> {
        // Of a step on the way, only some members were recorded.
        let added = actual_members.keys().find(|name| !members.contains_key(*name));
        if let Some(added) = added.filter(|_| !is_shortened) {
            let actual = &actual_members[added];
            return Err(format!("{place}.{added}: not recorded, actual {actual}"));
        }
        let mut members = members.iter().filter(|(name, _)| *name != SHORTENED);
        members.try_for_each(|(name, value)| {
            let place = format!("{place}.{name}");
            match actual_members.get(name) {
                Some(actual) => self.compare(value, actual, &place, is_shortened),
                None => Err(format!("{place}: recorded {value}, actual nothing")),
            }
        })
    }
}

/// The member of a recorded object of which other members were left out.
const SHORTENED: &str = "…";

/// Begins the description of a picture that was left out of the recording.
const PICTURE: &str = "<an SVG of about ";
