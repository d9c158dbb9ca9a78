//! `logout-gateway mock`.

use std::{net::SocketAddr, process::ExitCode, time::Duration};

use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use super::{Algorithm, Mock, Options, SigningKeys, serve};
use crate::clock::Clock;

/// A GoTrue for tests: everything in memory, faults on demand, no PostgreSQL.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Where to listen; port 0 picks one, and the line `listening` names it
    #[arg(long, default_value = "127.0.0.1:9999", value_name = "ADDRESS")]
    bind: SocketAddr,
    /// What access tokens are signed with
    #[arg(long, default_value = "ES256")]
    alg: Algorithm,
    /// How long an access token is good for, one second or more
    #[arg(long, default_value = "1h", value_name = "DURATION", value_parser = token_lifetime)]
    token_lifetime: Duration,
    /// A file of private JWKs; the first of the chosen algorithm signs. Without it: public test keys
    #[arg(long, value_name = "FILE", value_parser = signing_keys)]
    signing_keys: Option<SigningKeys>,
    /// The `iss` of access tokens [default: the mock's own /auth/v1]
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// Make ids and refresh tokens the same in every run [without a number: 1]
    #[arg(long, value_name = "NUMBER", num_args = 0..=1, default_missing_value = "1")]
    seed: Option<u64>,
}

fn token_lifetime(given: &str) -> Result<Duration, String> {
    match humantime::parse_duration(given) {
        Ok(lifetime) if lifetime >= Duration::from_secs(1) => Ok(lifetime),
        Ok(_) => Err("shorter than a second".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn signing_keys(path: &str) -> Result<SigningKeys, String> {
    let json = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    SigningKeys::from_json(&json).map_err(|error| error.to_string())
}

/// Runs the mock until `SIGTERM` or `SIGINT`. Exit status 2 for flags that do not go together, 1
/// when the address cannot be listened on.
#[must_use]
pub fn run(args: Args) -> ExitCode {
    let bind = args.bind;
    let options = Options {
        algorithm: args.alg,
        token_lifetime: args.token_lifetime,
        signing_keys: args.signing_keys.unwrap_or_else(SigningKeys::test_keys),
        issuer: args.issuer,
        seed: args.seed,
        ..Options::default()
    };
    if options.signing_keys.ring(options.algorithm).is_none() {
        eprintln!("error: --signing-keys: the file holds no key for --alg {}", options.algorithm);
        return ExitCode::from(2);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.and_then(|runtime| runtime.block_on(listen(bind, options))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: cannot listen on {bind}: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn listen(bind: SocketAddr, options: Options) -> std::io::Result<()> {
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let listener = TcpListener::bind(bind).await?;
    let mock = Mock::new(options, listener.local_addr()?, Clock::system())
        .map_err(std::io::Error::other)?;
    eprintln!("listening on {}", mock.url());
    let shutdown = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    serve(listener, mock, shutdown).await;
    Ok(())
}
