//! The gateway's configuration for the Supabase project of the recordings.

use std::iter::once;

use clap::{Args as _, Command, FromArgMatches as _};
use logout_gateway::{Args, Config};
use seeds::recorded::SUPABASE_URL;

/// Parses `flags` as command-line flags of `serve`, and ignores the environment.
#[must_use]
pub fn of(flags: &[(&str, &str)]) -> Config {
    let command = Args::augment_args(Command::new("fuzz")).mut_args(|arg| arg.env(None::<&str>));
    let project = ("supabase-url", SUPABASE_URL);
    let flags = once(&project).chain(flags).map(|(flag, value)| format!("--{flag}={value}"));
    let matches = command.get_matches_from(once("fuzz".to_owned()).chain(flags));
    let args = Args::from_arg_matches(&matches).expect("every flag is known");
    Config::parse(args).expect("the flags are valid")
}
