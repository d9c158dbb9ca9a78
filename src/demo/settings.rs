//! The configuration of the demo's gateway, parsed from flags of `serve` without the environment.

use std::net::SocketAddr;

use clap::{Args as _, Command, FromArgMatches as _};

use crate::config::{Args, Config, ConfigErrors};

/// The error of a flag that `serve` does not have or whose value it refuses: a bug in the demo.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error(transparent)]
    Flags(#[from] clap::Error),
    #[error("{0}")]
    Values(ConfigErrors),
}

/// The configuration of a gateway for the mock at the URL `gotrue`. It has no `GATEWAY_SECRET`, so the
/// gateway makes a random one.
pub(crate) fn config(bind: SocketAddr, gotrue: &str) -> Result<Config, SettingsError> {
    let command = Args::augment_args(Command::new("demo")).mut_args(|arg| arg.env(None::<&str>));
    let bind = bind.to_string();
    let flags = [
        ["--supabase-url", gotrue],
        ["--bind", &bind],
        ["--admin-bind", "off"],
        ["--threads", "1"],
        // Log only warnings and errors, so that the banner stays visible in the terminal.
        ["--log-filter", "warn"],
        // Do not delay Ctrl-C by requests that hang because the page has switched the mock of GoTrue off.
        ["--drain-timeout", "1s"],
    ];
    let words = std::iter::once("demo").chain(flags.into_iter().flatten());
    let matches = command.try_get_matches_from(words)?;
    Config::parse(Args::from_arg_matches(&matches)?).map_err(SettingsError::Values)
}
