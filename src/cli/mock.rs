//! The command `logout-gateway mock`, which runs a mock of GoTrue for tests.

use std::{fs, io, net::SocketAddr, process::ExitCode, time::Duration};

use clap::ValueEnum;
use gotrue_mock::{Algorithm, Mock, Options, SigningKeys};
use tokio::net::TcpListener;

use super::{USAGE_ERROR, signals::Signals};
use crate::clock::Clock;

/// Run a mock of GoTrue for tests. It needs no PostgreSQL, keeps all data in memory, and fails on request.
#[derive(Clone, Debug, clap::Args)]
pub struct MockArgs {
    /// Address to listen on; port 0 selects a free port, which the line `listening on` shows
    #[arg(long, default_value = "127.0.0.1:9999", value_name = "ADDRESS")]
    bind: SocketAddr,
    /// Algorithm that signs access tokens
    #[arg(long, default_value = "ES256")]
    alg: Alg,
    /// Lifetime of an access token, one second or more
    #[arg(long, default_value = "1h", value_name = "DURATION", value_parser = token_lifetime)]
    token_lifetime: Duration,
    /// File with private JWKs; the first one for --alg signs access tokens [default: public test keys]
    #[arg(long, value_name = "FILE", value_parser = signing_keys)]
    signing_keys: Option<SigningKeys>,
    /// `iss` claim of access tokens [default: the mock's own URL with /auth/v1]
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// Make ids and refresh tokens the same in every run [without a number: 1]
    #[arg(long, value_name = "NUMBER", num_args = 0..=1, default_missing_value = "1")]
    seed: Option<u64>,
}

/// The values of `--alg`. `--help` shows their comments.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Alg {
    /// ECDSA with P-256
    #[value(name = "ES256")]
    Es256,
    /// RSASSA-PKCS1-v1_5
    #[value(name = "RS256")]
    Rs256,
    /// Ed25519
    #[value(name = "EdDSA")]
    EdDsa,
    /// HMAC with a shared secret; the key set is then empty
    #[value(name = "HS256")]
    Hs256,
}

impl From<Alg> for Algorithm {
    fn from(alg: Alg) -> Self {
        match alg {
            Alg::Es256 => Self::Es256,
            Alg::Rs256 => Self::Rs256,
            Alg::EdDsa => Self::EdDsa,
            Alg::Hs256 => Self::Hs256,
        }
    }
}

fn token_lifetime(value: &str) -> Result<Duration, String> {
    match humantime::parse_duration(value) {
        Ok(lifetime) if lifetime >= Duration::from_secs(1) => Ok(lifetime),
        Ok(_) => Err("shorter than a second".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn signing_keys(path: &str) -> Result<SigningKeys, String> {
    let json = fs::read_to_string(path).map_err(|error| error.to_string())?;
    SigningKeys::from_json(&json).map_err(|error| error.to_string())
}

/// Runs the mock until SIGTERM or SIGINT. The exit status is 2 if the signing keys have no key for the
/// algorithm, and 1 if the mock cannot listen.
#[must_use]
pub fn run(args: MockArgs) -> ExitCode {
    let bind = args.bind;
    let options = Options {
        algorithm: args.alg.into(),
        token_lifetime: args.token_lifetime,
        signing_keys: args.signing_keys.unwrap_or_else(SigningKeys::test_keys),
        issuer: args.issuer,
        seed: args.seed,
        ..Options::default()
    };
    if !options.signing_keys.has_key_for(options.algorithm) {
        eprintln!("error: --signing-keys: the file holds no key for --alg {}", options.algorithm);
        return ExitCode::from(USAGE_ERROR);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.and_then(|runtime| runtime.block_on(serve(bind, options))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: cannot listen on {bind}: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(bind: SocketAddr, options: Options) -> io::Result<()> {
    let mut signals = Signals::new()?;
    let listener = TcpListener::bind(bind).await?;
    let clock = Clock::system();
    let mock = Mock::new(options, listener.local_addr()?, move || clock.now().into())
        .map_err(io::Error::other)?;
    eprintln!("listening on {}", mock.url());
    gotrue_mock::serve(listener, mock, async {
        signals.next().await;
    })
    .await;
    Ok(())
}
