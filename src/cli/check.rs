//! `logout-gateway check`: is this configuration one that works, and one to be content with?
//!
//! One line for each part with what was found, one for each weak setting. Exit status 0 when every
//! part answers, else 1; a weak setting alone fails nothing.

use std::{process::ExitCode, sync::Arc, time::Duration};

use jsonwebtoken::Algorithm;
use tokio::{runtime, time::Instant};

use crate::{
    clock::Clock,
    config::{self, Config, Warning},
    gotrue::{GoTrue, Health},
    session::jwks,
    store, telemetry,
};

/// More than that between two clocks, and tokens are judged expired on one side only.
const CLOCKS_APART: Duration = Duration::from_secs(5);

/// Major and minor.
type Version = (u32, u32);

/// A part and what was found of it: good news or bad.
type Finding = Result<String, String>;

/// Checks and prints. The exit status is 1 for a bad configuration, too.
#[must_use]
pub fn run(args: config::Args) -> ExitCode {
    let config = match Config::parse(args) {
        Ok(config) => config,
        Err(faults) => {
            eprintln!("{faults}");
            return ExitCode::FAILURE;
        }
    };
    let _log = telemetry::start(config::LogFormat::Text, "warn", None);
    println!("configuration: ok");
    let probed = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map(|runtime| runtime.block_on(probe(&config, &Clock::system())));
    match probed {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(cause) => {
            eprintln!("the system gives no runtime: {cause}");
            ExitCode::FAILURE
        }
    }
}

async fn probe(config: &Config, clock: &Clock) -> bool {
    let gotrue = match GoTrue::new(&config.supabase, Arc::default()) {
        Ok(gotrue) => gotrue,
        Err(cause) => {
            println!("GoTrue: {cause}");
            return false;
        }
    };
    let reached = auth_service(config, &gotrue, clock).await;
    let version = reached.as_ref().ok().and_then(|(_, version)| *version);
    let reached = report("GoTrue", &reached.map(|(found, _)| found));
    let keys = key_set(config, &gotrue).await;
    let known = report("key set", &keys.as_ref().map(Keys::found).map_err(Clone::clone));
    let store = store::survey(&config.store.address).await;
    let stored = report("store", &store.as_ref().map(|s| s.found.clone()).map_err(Clone::clone));

    let mut warnings = config.warnings();
    warnings.extend(config::unused_proxies());
    let weaknesses = store.into_iter().flat_map(|survey| survey.weaknesses);
    warnings.extend(weaknesses.map(Warning::store));
    warnings.extend(Warning::old_gotrue(version));
    let has_keys = keys.ok().map(|keys| !keys.allowed.is_empty());
    warnings.extend(has_keys.and_then(|has_keys| config.supabase.secret_warning(has_keys)));
    for warning in warnings {
        println!("warning: {warning}");
    }
    reached && known && stored
}

/// The algorithms of the key set.
struct Keys {
    allowed: Vec<String>,
    /// Those that `GATEWAY_JWT_ALGORITHMS` leaves out.
    left_out: Vec<String>,
}

impl Keys {
    fn found(&self) -> String {
        let Self { allowed, left_out } = self;
        let allowed = if !allowed.is_empty() {
            allowed.join(", ")
        } else if left_out.is_empty() {
            return "no keys: the project signs with HS256".to_owned();
        } else {
            "no keys that count".to_owned()
        };
        if left_out.is_empty() {
            return allowed;
        }
        format!("{allowed}; GATEWAY_JWT_ALGORITHMS leaves out {}", left_out.join(", "))
    }
}

/// The key set's algorithms, if any token can be judged with them.
async fn key_set(config: &Config, gotrue: &GoTrue) -> Result<Keys, String> {
    let supabase = &config.supabase;
    let deadline = Instant::now() + config.upstream.timeout;
    let body = gotrue.jwks(supabase.needs_no_keys(), deadline).await;
    let body = body.map_err(|refusal| refusal.to_string())?;
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

fn report(part: &str, finding: &Finding) -> bool {
    match finding {
        Ok(found) => println!("{part}: ok: {found}"),
        Err(cause) => println!("{part}: FAILED: {cause}"),
    }
    finding.is_ok()
}

/// What was found of GoTrue, and its version.
async fn auth_service(
    config: &Config,
    gotrue: &GoTrue,
    clock: &Clock,
) -> Result<(String, Option<Version>), String> {
    let asked = |with_key| async move {
        let answer = gotrue.health(with_key, Instant::now() + config.upstream.timeout).await;
        answer.map_err(|refusal| format!("{refusal} at GOTRUE_URL"))
    };
    let anybody = asked(false).await?;
    let (answer, api_key) = match (anybody.status, config.supabase.api_key()) {
        (200, _) => (anybody, "no apikey needed"),
        (_, None) => (anybody, "without an apikey"),
        (_, Some(_)) => {
            (asked(true).await?, "an apikey is needed, and the configured one is taken")
        }
    };
    match answer {
        Health { status: 200, is_gotrue: true, .. } => {}
        Health { status: 200, .. } => {
            return Err("another server than GoTrue answers at GOTRUE_URL".to_owned());
        }
        Health { status: status @ (401 | 403), .. } => {
            return Err(format!(
                "status {status}: check SUPABASE_PUBLISHABLE_KEY or SUPABASE_ANON_KEY"
            ));
        }
        Health { status, .. } => return Err(format!("status {status}")),
    }
    Ok((format!("{api_key}; {}", clocks(&answer, clock)), answer.version))
}

fn clocks(answer: &Health, clock: &Clock) -> String {
    let Some(date) = answer.date else { return "its clock is not known".to_owned() };
    let now = clock.now();
    let (apart, side) = match date.duration_since(now) {
        Ok(ahead) => (ahead, "ahead"),
        Err(behind) => (behind.duration(), "behind"),
    };
    match apart.as_secs() {
        0 => "its clock agrees".to_owned(),
        seconds if apart <= CLOCKS_APART => format!("its clock is {seconds} s {side}"),
        seconds => {
            format!("its clock is {seconds} s {side}: set both, or tokens are judged differently")
        }
    }
}
