//! The configuration of the demo's gateway: flags of `serve`, without the environment.

use std::net::SocketAddr;

use clap::{Args as _, Command, FromArgMatches as _};

use crate::config::{Args, Config, ConfigErrors};

/// A bug in the demo: `serve` does not have one of its flags, or refuses a value.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error(transparent)]
    Flags(#[from] clap::Error),
    #[error("{0}")]
    Values(ConfigErrors),
}

/// The configuration of a gateway in front of this GoTrue. It has no secret, so the gateway makes a random one.
pub(crate) fn config(bind: SocketAddr, gotrue: &str) -> Result<Config, SettingsError> {
    let command = Args::augment_args(Command::new("demo")).mut_args(|arg| arg.env(None::<&str>));
    let bind = bind.to_string();
    let flags = [
        ["--supabase-url", gotrue],
        ["--bind", &bind],
        ["--admin-bind", "off"],
        ["--threads", "1"],
        // Keep the terminal free for the banner.
        ["--log-filter", "warn"],
        // Ctrl-C must not wait for a mock that hangs because of a fault.
        ["--drain-timeout", "1s"],
    ];
    let words = std::iter::once("demo").chain(flags.into_iter().flatten());
    let matches = command.try_get_matches_from(words)?;
    Config::parse(Args::from_arg_matches(&matches)?).map_err(SettingsError::Values)
}
