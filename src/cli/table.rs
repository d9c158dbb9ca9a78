//! Prints rows to standard output: as a table on a terminal, else as one line of JSON for each row.

use std::io::{self, IsTerminal as _, Write as _};

use serde::Serialize;
use serde_json::Value;

/// Prints `rows`: the given columns as a table, or all members as JSON.
pub(super) fn print<T: Serialize>(
    rows: impl Iterator<Item = T>,
    columns: &[&str],
) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let rows: Vec<Value> = rows.filter_map(|row| serde_json::to_value(row).ok()).collect();
    if !out.is_terminal() {
        return rows.iter().try_for_each(|row| writeln!(out, "{row}"));
    }
    let head = columns.iter().map(|column| (*column).to_owned()).collect();
    let body = rows.iter().map(|row| columns.iter().map(|column| cell(row, column)).collect());
    let lines: Vec<Vec<String>> = std::iter::once(head).chain(body).collect();
    let width = |n: usize| lines.iter().filter_map(|line| line.get(n)).map(String::len).max();
    let widths: Vec<usize> = (0..columns.len()).filter_map(width).collect();
    for line in &lines {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

fn cell(row: &Value, column: &str) -> String {
    match row.get(column) {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => "-".to_owned(),
        Some(other) => other.to_string(),
    }
}
