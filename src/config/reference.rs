//! The tables of `docs/configuration.md`, which are made from the help texts of the settings.

use std::{env, fs, path::Path};

use super::{
    flags::{Setting, Source},
    settings::SETTINGS,
};

/// The tables stand between these two lines of the page.
const START: &str = "<!-- The tables are made from src/config/settings.rs: UPDATE=1 cargo test configuration_md -->\n";
const END: &str = "<!-- The end of the tables. -->\n";

/// A setting's default and its meaning. Every help text ends with the default: a test of the flags requires it.
fn default_and_meaning(help: &str) -> (&str, &str) {
    if let Some((meaning, default)) = help.rsplit_once("Default: ") {
        return (default, meaning.trim_end());
    }
    match help.strip_suffix("Required") {
        Some(meaning) => ("required", meaning.trim_end()),
        None => ("none", help.trim_end_matches("No default").trim_end()),
    }
}

/// The variables of a setting and its flag, one below the other.
fn names(setting: &Setting) -> String {
    let mut names = vec![format!("`{}`", setting.variable)];
    if setting.source != Source::Flag {
        names.push(format!("`{}`", setting.file_variable));
    }
    if setting.source != Source::File {
        names.push(format!("`--{} {}`", setting.flag(), setting.value_name));
    }
    names.join("<br>")
}

fn row(setting: &Setting) -> String {
    let help = setting.help();
    let (default, meaning) = default_and_meaning(&help);
    let cells = [&names(setting), default, meaning].map(|cell| cell.replace('|', r"\|"));
    format!("| {} |\n", cells.join(" | "))
}

/// A table for each heading of `--help`, in the order of `--help`.
fn tables() -> String {
    let groups = SETTINGS.chunk_by(|one, next| one.heading == next.heading);
    let tables = groups.map(|group| {
        let rows: String = group.iter().map(row).collect();
        let heading = group.first().map_or("", |setting| setting.heading);
        format!("### {heading}\n\n| variable and flag | default | meaning |\n|---|---|---|\n{rows}")
    });
    format!("\n{}\n", tables.collect::<Vec<_>>().join("\n"))
}

#[test]
fn configuration_md_has_the_help_text_of_every_setting() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(START).expect("the page has the line before the tables");
    let (shown, after) = rest.split_once(END).expect("the page has the line after the tables");
    let tables = tables();
    if env::var_os("UPDATE").is_some() {
        fs::write(&path, [before, START, &tables, END, after].concat()).unwrap();
    } else {
        assert!(shown == tables, "run `UPDATE=1 cargo test configuration_md`, and commit the page");
    }
}
