//! The gateway's configuration in the demo: that of `serve`, from flags alone.

use std::net::SocketAddr;

use clap::{Args as _, Command, FromArgMatches as _};

use crate::config::{Args, Config, ConfigErrors};

/// A flag that `serve` does not have, or a value that it refuses: a bug in the demo.
#[derive(Debug, thiserror::Error)]
pub(super) enum SettingsError {
    #[error(transparent)]
    Flags(#[from] clap::Error),
    #[error("{0}")]
    Values(ConfigErrors),
}

/// What `serve` would run with in front of this GoTrue, deaf to the environment. Without a secret it
/// makes a random one.
pub(super) fn config(bind: SocketAddr, gotrue: &str) -> Result<Config, SettingsError> {
    let command = Args::augment_args(Command::new("demo")).mut_args(|arg| arg.env(None::<&str>));
    let bind = bind.to_string();
    let flags = [
        ["--supabase-url", gotrue],
        ["--bind", &bind],
        ["--admin-bind", "off"],
        ["--threads", "1"],
        // The terminal is for the commands to paste.
        ["--log-filter", "warn"],
        // Ctrl-C does not wait for a GoTrue that was told to hang.
        ["--drain-timeout", "1s"],
    ];
    let words = std::iter::once("demo").chain(flags.into_iter().flatten());
    let matches = command.try_get_matches_from(words)?;
    Config::parse(Args::from_arg_matches(&matches)?).map_err(SettingsError::Values)
}
