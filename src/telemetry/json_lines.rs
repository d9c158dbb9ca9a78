//! Writes a log event as a line of JSON, straight into the line's buffer.
//!
//! The lines are those of `tracing_subscriber::fmt::format::Json` with flattened fields: `timestamp`, `level`, the fields
//! of the event, `target`. That formatter takes twice as many instructions: 15,000 more for the audit line.

use std::fmt::{self, Debug, Write as _};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::Writer,
        time::{FormatTime as _, SystemTime},
    },
    registry::LookupSpan,
};

/// The format of JSON lines. Spans are left out: only the exporter uses them.
#[derive(Debug)]
pub(super) struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        writer.write_str(r#"{"timestamp":""#)?;
        SystemTime.format_time(&mut writer)?;
        writer.write_str(r#"","level":""#)?;
        writer.write_str(metadata.level().as_str())?;
        writer.write_char('"')?;
        let mut members = Members { writer: writer.by_ref(), written: Ok(()) };
        event.record(&mut members);
        members.written?;
        writer.write_str(r#","target":""#)?;
        Escaped(&mut writer).write_str(metadata.target())?;
        writer.write_str("\"}\n")
    }
}

/// Writes fields as members of an object, each after a comma.
struct Members<'w> {
    writer: Writer<'w>,
    written: fmt::Result,
}

impl Members<'_> {
    /// Adds a field whose value `write` writes. Does nothing after an error, because a visitor cannot return one.
    fn add(&mut self, field: &Field, write: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        if self.written.is_ok() {
            self.written = self.write_member(field, write);
        }
    }

    fn write_member(
        &mut self,
        field: &Field,
        write: impl FnOnce(&mut Writer<'_>) -> fmt::Result,
    ) -> fmt::Result {
        self.writer.write_str(",\"")?;
        Escaped(&mut self.writer).write_str(field.name())?;
        self.writer.write_str("\":")?;
        write(&mut self.writer)
    }

    fn add_text(&mut self, field: &Field, text: fmt::Arguments<'_>) {
        self.add(field, |writer| {
            writer.write_char('"')?;
            Escaped(writer).write_fmt(text)?;
            writer.write_char('"')
        });
    }
}

impl Visit for Members<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add_text(field, format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add_text(field, format_args!("{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, |writer| writer.write_str(if value { "true" } else { "false" }));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, |writer| write!(writer, "{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, |writer| write!(writer, "{value}"));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no infinity and no NaN.
        self.add(field, |writer| {
            if value.is_finite() { write!(writer, "{value:?}") } else { writer.write_str("null") }
        });
    }
}

/// Escapes what is written to it as the content of a string (RFC 8259, section 7).
struct Escaped<'e, 'w>(&'e mut Writer<'w>);

impl fmt::Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        let must_be_escaped = |octet: &u8| *octet < b' ' || matches!(octet, b'"' | b'\\');
        while let Some(at) = rest.as_bytes().iter().position(must_be_escaped) {
            let (plain, escaped) = rest.split_at(at);
            self.0.write_str(plain)?;
            let (special, after) = escaped.split_at(1);
            match special {
                "\"" => self.0.write_str("\\\"")?,
                "\\" => self.0.write_str("\\\\")?,
                "\n" => self.0.write_str("\\n")?,
                "\r" => self.0.write_str("\\r")?,
                "\t" => self.0.write_str("\\t")?,
                "\u{8}" => self.0.write_str("\\b")?,
                "\u{c}" => self.0.write_str("\\f")?,
                _ => write!(self.0, "\\u{:04x}", special.as_bytes().first().unwrap_or(&0))?,
            }
            rest = after;
        }
        self.0.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::Value;
    use tracing_subscriber::{Layer as _, fmt, layer::SubscriberExt as _, registry};

    use super::*;

    /// Writes the lines of one formatter.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend(octets);
            Ok(octets.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Lines {
        /// The lines, each without its timestamp, which must be one.
        fn read(&self) -> Vec<String> {
            let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            let lines = text.lines().map(|line| {
                let parsed: Value = serde_json::from_str(line).unwrap();
                let timestamp = parsed["timestamp"].as_str().unwrap();
                assert!(timestamp.parse::<jiff::Timestamp>().is_ok(), "{line}");
                line.replacen(timestamp, "", 1)
            });
            lines.collect()
        }
    }

    #[test]
    fn the_lines_are_those_of_the_librarys_formatter() {
        let (own, library) = <(Lines, Lines)>::default();
        let (to_own, to_library) = (own.clone(), library.clone());
        let layer = fmt::layer().json().event_format(JsonLines);
        let layer = layer.with_writer(move || to_own.clone());
        let other = fmt::layer().json().flatten_event(true);
        let other = other.with_writer(move || to_library.clone()).boxed();
        let events = || {
            tracing::info!("a line");
            tracing::warn!(target: "audit", number = 1_u64, negative = -1, is_true = true, "text");
            tracing::error!(infinite = f64::INFINITY, whole = 1.0, fraction = 0.1, tiny = 1e-9);
            tracing::debug!(some = Some("text"), none = None::<&str>, debug = ?Some("quoted \""));
            tracing::trace!(cause = %"a\\b\"c\n\r\t\u{8}\u{c}\u{1f}\u{7f}ä\u{2028}", "{}", "\u{0}");
            tracing::info!(wide = u128::MAX, r#type = "a keyword", "name.with.dots" = 1);
            let error: &dyn std::error::Error = &std::io::Error::other("an \"error\"");
            tracing::info!(error, "with an error");
        };
        tracing::subscriber::with_default(registry().with(layer).with(other), events);
        assert_eq!(own.read().len(), 7);
        assert_eq!(own.read(), library.read());
    }
}
