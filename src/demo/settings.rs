//! The configuration of the demo's gateway, which does not depend on environment variables.

use std::net::SocketAddr;

use crate::config::{Args, Config, ConfigErrors};

/// The error of a setting that `serve` does not have or whose value it refuses: a bug in the demo.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error("the demo uses a setting that does not exist")]
    UnknownSetting,
    #[error("{0}")]
    Values(ConfigErrors),
}

/// The configuration of a gateway for the mock at the URL `gotrue`. It has no `GATEWAY_SECRET`, so the
/// gateway makes a random one.
pub(crate) fn config(bind: SocketAddr, gotrue: &str) -> Result<Config, SettingsError> {
    let bind = bind.to_string();
    let args = Args::of_settings([
        ("SUPABASE_URL", gotrue),
        ("GATEWAY_BIND", &bind),
        ("GATEWAY_ADMIN_BIND", "off"),
        ("GATEWAY_THREADS", "1"),
        // Log only warnings and errors, so that the banner stays visible in the terminal.
        ("RUST_LOG", "warn"),
        // Do not delay Ctrl-C by requests that hang because the page has switched the mock of GoTrue off.
        ("GATEWAY_DRAIN_TIMEOUT", "1s"),
    ]);
    Config::parse(args.ok_or(SettingsError::UnknownSetting)?).map_err(SettingsError::Values)
}
