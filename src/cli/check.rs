//! The command `logout-gateway check`, which checks the configuration, GoTrue, its key set and the store.
//!
//! The command prints a line for each part and a line for each weak setting. The exit status is 0 if every
//! part works, and 1 otherwise. A weak setting alone does not change the exit status.

use std::{fmt::Display, process::ExitCode, sync::Arc, time::Duration};

use jsonwebtoken::Algorithm;
use tokio::{runtime, time::Instant};
use tracing_subscriber::filter::{LevelFilter, Targets};

use super::parse_config;
use crate::{
    clock::Clock,
    config::{self, Config, Warning},
    gotrue::{self, ConnectionSettings, GoTrue, HealthAnswer},
    session::{jwks, token::issuers::PublishedIssuer},
    store, telemetry,
};

/// The largest difference between the clocks of GoTrue and the gateway that is reported without advice. With
/// a larger difference, one of them may accept a token that has expired for the other.
const LARGEST_CLOCK_DIFFERENCE: Duration = Duration::from_secs(5);

/// GoTrue's version, major and minor.
type Version = (u32, u32);

/// Runs the checks and prints their results. The exit status is also 1 for an invalid configuration.
#[must_use]
pub(super) fn run(args: config::Args) -> ExitCode {
    let Some(config) = parse_config(args) else { return ExitCode::FAILURE };
    // The printed lines have the cause of a request without an answer.
    let filter = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target(gotrue::UNANSWERED_TARGET, LevelFilter::OFF);
    let _log = telemetry::start(config::LogFormat::Text, filter, None);
    println!("configuration: ok");
    let checked = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map(|runtime| runtime.block_on(check(&config, &Clock::system())));
    match checked {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(cause) => {
            eprintln!("cannot start the tokio runtime: {cause}");
            ExitCode::FAILURE
        }
    }
}

/// Prints a line for each part and each warning, and returns whether every part works.
async fn check(config: &Config, clock: &Clock) -> bool {
    let gotrue = match GoTrue::new(config, Arc::default()) {
        Ok(gotrue) => gotrue,
        Err(cause) => {
            println!("GoTrue: {cause}");
            return false;
        }
    };
    let auth_service = auth_service(config, &gotrue, clock).await;
    let version = auth_service.as_ref().ok().and_then(|(_, version)| *version);
    let gotrue_works = print_part("GoTrue", auth_service.map(|(text, _)| text));
    let keys = key_set(config, &gotrue).await;
    let keys_work = print_part("key set", keys.as_ref().map(Keys::text));
    let issuer = issuer(config, &gotrue).await;
    let store = store::diagnose(&config.store.address).await;
    let store_works = print_part("store", store.as_ref().map(|diagnosis| &diagnosis.found));

    let mut warnings = config.warnings();
    warnings.extend(config::unused_proxies(config));
    warnings.extend(issuer.warning(&config.supabase));
    let weaknesses = store.into_iter().flat_map(|diagnosis| diagnosis.weaknesses);
    warnings.extend(weaknesses.map(Warning::store));
    warnings.extend(Warning::old_gotrue(version));
    let has_keys = keys.ok().map(|keys| !keys.allowed.is_empty());
    warnings.extend(has_keys.and_then(|has_keys| config.supabase.secret_warning(has_keys)));
    for warning in warnings {
        println!("warning: {warning}");
    }
    gotrue_works && keys_work && store_works
}

/// The algorithms of the keys in the project's key set.
struct Keys {
    /// The algorithms that `GATEWAY_JWT_ALGORITHMS` contains.
    allowed: Vec<String>,
    /// The algorithms that `GATEWAY_JWT_ALGORITHMS` does not contain.
    left_out: Vec<String>,
}

impl Keys {
    fn text(&self) -> String {
        let Self { allowed, left_out } = self;
        let allowed = if !allowed.is_empty() {
            allowed.join(", ")
        } else if left_out.is_empty() {
            return "no keys: the project signs with HS256".to_owned();
        } else {
            "no key of an allowed algorithm".to_owned()
        };
        if left_out.is_empty() {
            return allowed;
        }
        format!("{allowed}; GATEWAY_JWT_ALGORITHMS leaves out {}", left_out.join(", "))
    }
}

/// Fetches the key set. Returns an error if the fetch fails, or if neither a key nor HS256 can verify a
/// token.
async fn key_set(config: &Config, gotrue: &GoTrue) -> Result<Keys, String> {
    let supabase = &config.supabase;
    let deadline = Instant::now() + config.upstream.timeout;
    let body = gotrue.jwks(supabase.needs_no_keys(), deadline).await;
    let body = body.map_err(|error| error.to_string())?;
    let algorithms = jwks::algorithms(&body).map_err(|error| error.to_string())?;
    let is_allowed =
        |name: &String| supabase.algorithms.iter().any(|allowed| format!("{allowed:?}") == *name);
    let (allowed, left_out): (Vec<_>, Vec<_>) = algorithms.into_keys().partition(is_allowed);
    if allowed.is_empty() && !supabase.allows(Algorithm::HS256) {
        let published = if left_out.is_empty() { "none".to_owned() } else { left_out.join(", ") };
        return Err(format!(
            "no key of an algorithm in GATEWAY_JWT_ALGORITHMS ({published} published): no token can be \
             verified"
        ));
    }
    Ok(Keys { allowed, left_out })
}

/// Prints the issuer that GoTrue publishes, and returns it. A failed request is not a failed part: without GoTrue's
/// answer, the gateway still accepts the default issuers.
async fn issuer(config: &Config, gotrue: &GoTrue) -> PublishedIssuer {
    let issuer = match gotrue.issuer(Instant::now() + config.upstream.timeout).await {
        Ok(issuer) => PublishedIssuer::from(issuer),
        Err(error) => {
            println!("issuer: unknown: {error}");
            return PublishedIssuer::Unknown;
        }
    };
    match &issuer {
        PublishedIssuer::Named(issuer) => println!("issuer: ok: {issuer}"),
        PublishedIssuer::Absent | PublishedIssuer::Unknown => {
            println!("issuer: ok: GoTrue publishes none");
        }
    }
    issuer
}

/// Prints the result of checking `part`, and returns whether the part works.
fn print_part(part: &str, result: Result<impl Display, impl Display>) -> bool {
    match result {
        Ok(text) => {
            println!("{part}: ok: {text}");
            true
        }
        Err(cause) => {
            println!("{part}: FAILED: {cause}");
            false
        }
    }
}

/// Requests GoTrue's health, first without the header `apikey` and then, if that is refused, with it. Returns
/// the text of the printed line and GoTrue's version.
async fn auth_service(
    config: &Config,
    gotrue: &GoTrue,
    clock: &Clock,
) -> Result<(String, Option<Version>), String> {
    let health = |with_key| async move {
        let answer = gotrue.health(with_key, Instant::now() + config.upstream.timeout).await;
        let settings = ConnectionSettings::new(config);
        answer.map_err(|error| format!("{error}: {}", error.advice(settings)))
    };
    let without_key = health(false).await?;
    let (answer, api_key) = match (without_key.status, config.supabase.api_key()) {
        (200, _) => (without_key, "no apikey needed"),
        (_, None) => (without_key, "without an apikey"),
        (_, Some(_)) => {
            (health(true).await?, "an apikey is needed, and the configured one is accepted")
        }
    };
    match answer {
        HealthAnswer { status: 200, is_gotrue: true, .. } => {}
        HealthAnswer { status: 200, .. } => {
            let variable = config.supabase.gotrue_variable();
            return Err(format!("another server than GoTrue answers at {variable}"));
        }
        HealthAnswer { status: 407, .. } => {
            return Err(
                "status 407: check the user and the password in GATEWAY_EGRESS_PROXY".to_owned()
            );
        }
        HealthAnswer { status: status @ (401 | 403), .. } => {
            return Err(format!(
                "status {status}: check SUPABASE_PUBLISHABLE_KEY or SUPABASE_ANON_KEY"
            ));
        }
        HealthAnswer { status, .. } => return Err(format!("status {status}")),
    }
    let version = match answer.version {
        Some((major, minor)) => format!("version {major}.{minor}"),
        None => "its version is not known".to_owned(),
    };
    Ok((format!("{api_key}; {}; {version}", clocks(&answer, clock)), answer.version))
}

/// Compares GoTrue's clock (the header `Date` of its answer) with this machine's clock.
fn clocks(answer: &HealthAnswer, clock: &Clock) -> String {
    let Some(date) = answer.date else { return "its clock is not known".to_owned() };
    let now = std::time::SystemTime::from(clock.now());
    let (difference, side) = match date.duration_since(now) {
        Ok(ahead) => (ahead, "ahead"),
        Err(behind) => (behind.duration(), "behind"),
    };
    match difference.as_secs() {
        0 => "its clock agrees".to_owned(),
        seconds if difference <= LARGEST_CLOCK_DIFFERENCE => {
            format!("its clock is {seconds} s {side}")
        }
        seconds => {
            format!(
                "its clock is {seconds} s {side}: synchronise both clocks, or one side accepts tokens that have \
                 expired for the other"
            )
        }
    }
}
