//! The command `logout-gateway mock`, which runs a mock of GoTrue for tests: alone, with a gateway in front of it, and
//! around a command that uses them.

mod command;
mod leftovers;
mod origins;
mod running;
mod settings;

use std::{
    convert::Infallible,
    ffi::OsString,
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::{Command, ExitCode},
    time::Duration,
};

use clap::ValueEnum;
use gotrue_mock::{Algorithm, InitialUsers, Options, SigningKeys, TEST_SECRET};
use url::Url;

use self::{
    command::{Supervisor, status_of_signal},
    running::{RunningMock, StartMockError},
    settings::SettingsArgs,
};
use super::{USAGE_ERROR, local_gateway::GATEWAY_ADDRESS, signals::Signals};

/// The address of a mock that runs no command.
const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9999);
/// Selects a free port, so that several jobs on one machine use different ports.
const FREE_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

const ABOUT_COMMANDS: &str = "\
With a command, the mock runs as long as the command and exits with its status: `logout-gateway mock -- npm test`. \
The environment of the command has SUPABASE_URL, SUPABASE_ANON_KEY, SUPABASE_SERVICE_ROLE_KEY and SUPABASE_JWKS_URL, \
and with --gateway GATEWAY_URL.";

/// Run a mock of GoTrue for tests.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = ABOUT_COMMANDS)]
pub(super) struct MockArgs {
    /// Address to listen on; port 0 selects a free port, which the line `listening on` shows [default: 127.0.0.1:9999,
    /// or a free port if there is a command]
    #[arg(long, value_name = "ADDRESS")]
    bind: Option<SocketAddr>,
    /// URL under which browsers reach the mock: it begins the links of mails, the redirects of providers and the issuer
    /// [default: the URL of the address]
    #[arg(long, value_name = "URL", value_parser = external_url)]
    external_url: Option<String>,
    /// Start a gateway in front of the mock, too: at 127.0.0.1:8080, or at a free port if that is in use or if there is
    /// a command. Pages of --site-url, of each --redirect-url and of development servers at their usual ports may call
    /// it
    #[arg(long)]
    gateway: bool,
    /// Algorithm that signs access tokens
    #[arg(long, default_value = "ES256")]
    alg: Alg,
    /// Lifetime of an access token, one second or more
    #[arg(long, default_value = "1h", value_name = "DURATION", value_parser = token_lifetime)]
    token_lifetime: Duration,
    /// File with private JWKs; the first one for --alg signs access tokens [default: public test keys]
    #[arg(long, value_name = "FILE", value_parser = signing_keys)]
    signing_keys: Option<SigningKeys>,
    /// `iss` claim of access tokens; `none` for tokens without it [default: the mock's own URL with /auth/v1]
    #[arg(long, value_name = "URL", value_parser = issuer)]
    issuer: Option<String>,
    /// Make ids, codes and refresh tokens the same in every run [without a number: 1]
    #[arg(long, value_name = "NUMBER", num_args = 0..=1, default_missing_value = "1")]
    seed: Option<u64>,
    /// JSON file with a list of users that exist from the start, each as in the body of POST /admin/users; their
    /// addresses are confirmed, unless `email_confirm` or `phone_confirm` is false
    #[arg(long, value_name = "FILE", value_parser = users)]
    users: Option<InitialUsers>,
    /// http URL of a server that answers requests for other paths than /auth/v1 and /mock: REST, Storage, functions
    #[arg(long, value_name = "URL", value_parser = fallback)]
    fallback: Option<Url>,
    #[command(flatten)]
    settings: SettingsArgs,
    /// Command to run while the mock answers, with its arguments
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
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

/// An empty issuer writes no claim, as in GoTrue.
#[expect(clippy::unnecessary_wraps, reason = "the signature of a value parser")]
fn issuer(value: &str) -> Result<String, Infallible> {
    Ok(if value == "none" { String::new() } else { value.to_owned() })
}

fn fallback(value: &str) -> Result<Url, String> {
    base_url(value, &["http"])
}

fn external_url(value: &str) -> Result<String, String> {
    base_url(value, &["http", "https"]).map(|url| url.as_str().trim_end_matches('/').to_owned())
}

/// A URL to which a path can be appended.
fn base_url(value: &str, schemes: &[&str]) -> Result<Url, String> {
    let url = Url::parse(value).map_err(|error| error.to_string())?;
    let has_suffix = url.query().is_some() || url.fragment().is_some();
    let has_credentials = !url.username().is_empty() || url.password().is_some();
    if schemes.contains(&url.scheme()) && url.has_host() && !has_suffix && !has_credentials {
        return Ok(url);
    }
    let schemes = schemes.join(" or ");
    Err(format!(
        "not an {schemes} URL without credentials, query and fragment, such as http://127.0.0.1:3000"
    ))
}

fn signing_keys(path: &str) -> Result<SigningKeys, String> {
    let json = fs::read_to_string(path).map_err(|error| error.to_string())?;
    SigningKeys::from_json(&json).map_err(|error| error.to_string())
}

fn users(path: &str) -> Result<InitialUsers, String> {
    let json = fs::read_to_string(path).map_err(|error| error.to_string())?;
    InitialUsers::from_json(&json).map_err(|error| error.to_string())
}

impl MockArgs {
    /// The shared secret of the public test keys. That of a file need not be text, which the gateway's setting is.
    fn known_secret(&self) -> Option<&'static str> {
        self.signing_keys.is_none().then_some(TEST_SECRET)
    }

    fn options(&self) -> Options {
        Options {
            algorithm: self.alg.into(),
            token_lifetime: self.token_lifetime,
            external_url: self.external_url.clone(),
            signing_keys: self.signing_keys.clone().unwrap_or_else(SigningKeys::test_keys),
            issuer: self.issuer.clone(),
            seed: self.seed,
            restarts_seed: !self.gateway,
            users: self.users.clone().unwrap_or_default(),
            settings: self.settings.settings(),
            fallback: self.fallback.clone(),
            ..Options::default()
        }
    }
}

/// Runs the mock until SIGTERM or SIGINT, or as long as the command. The exit status is 2 if the signing keys have no
/// key for the algorithm, 1 if the mock or the gateway cannot start, and otherwise the command's.
#[must_use]
pub(super) fn run(args: &MockArgs) -> ExitCode {
    if args.command.is_empty() && std::env::args_os().any(|argument| argument == "--") {
        eprintln!("error: there is no command after --");
        return ExitCode::from(USAGE_ERROR);
    }
    let options = args.options();
    if !options.signing_keys.has_key_for(options.algorithm) {
        eprintln!("error: --signing-keys: the file holds no key for --alg {}", options.algorithm);
        return ExitCode::from(USAGE_ERROR);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) if args.command.is_empty() => runtime.block_on(serve(args, options)),
        Ok(runtime) => runtime.block_on(run_command(args, options)),
        Err(error) => Err(StartMockError::Runtime(error)),
    };
    match result {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Serves until a signal.
async fn serve(args: &MockArgs, options: Options) -> Result<u8, StartMockError> {
    let mut signals = Signals::new().map_err(StartMockError::Signals)?;
    let mut mock = RunningMock::start(args.bind.unwrap_or(ADDRESS), options).await?;
    if args.gateway {
        mock.start_gateway(GATEWAY_ADDRESS, args.known_secret())?;
    }
    signals.next().await;
    mock.stop();
    Ok(0)
}

/// Serves as long as the command runs. The command starts when mock and gateway answer.
async fn run_command(args: &MockArgs, options: Options) -> Result<u8, StartMockError> {
    let mut supervisor = Supervisor::new().map_err(StartMockError::Signals)?;
    let mut mock = RunningMock::start(args.bind.unwrap_or(FREE_PORT), options).await?;
    if args.gateway {
        mock.start_gateway(FREE_PORT, args.known_secret())?;
    }
    tokio::select! {
        ready = mock.wait_until_ready() => ready?,
        signal = supervisor.next_signal() => return Ok(status_of_signal(signal)),
    }
    let mut words = args.command.iter();
    let mut command = Command::new(words.next().map_or_else(OsString::new, OsString::clone));
    // The variable of another gateway would mislead the tests.
    command.args(words).env_remove("GATEWAY_URL").envs(mock.environment()?);
    let status = supervisor.run(command).await;
    mock.stop();
    Ok(status)
}
