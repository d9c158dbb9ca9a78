//! The gateway's configuration for the Supabase project of the recordings.

use std::iter::once;

use logout_gateway::{Args, Config};
use seeds::recorded::SUPABASE_URL;

/// Parses settings by the names of their flags, and ignores the environment.
#[must_use]
pub fn of(flags: &[(&str, &str)]) -> Config {
    let project = ("supabase-url", SUPABASE_URL);
    let args = Args::of_settings(once(&project).chain(flags).copied());
    Config::parse(args.expect("every setting is known")).expect("the settings are valid")
}
