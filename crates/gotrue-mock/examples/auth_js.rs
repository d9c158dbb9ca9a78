//! Serves the five GoTrue servers that the tests of auth-js need, with the settings of its files
//! `test/supabase/config.toml` (port 54321) and `infra/docker-compose.yml` (ports 9996 to 9999). CONTRIBUTING.md shows
//! how to run the tests.
//!
//! The argument is the file of the signing keys that the tests generate: `test/supabase/signing_keys.json`.

use std::{error::Error, fs, future::pending, time::SystemTime};

use gotrue_mock::{Algorithm, Feature, Mock, Options, Settings, SigningKeys, serve};
use tokio::{net::TcpListener, task::JoinSet};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: auth_js <signing_keys.json>")?;
    let signing_keys = SigningKeys::from_json(&fs::read_to_string(path)?)?;
    let mut servers = JoinSet::new();
    for (port, options) in servers_of_auth_js(signing_keys) {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let mock = Mock::new(options, listener.local_addr()?, now)?;
        println!("listening on {}", mock.url());
        servers.spawn(serve(listener, mock, pending()));
    }
    servers.join_all().await;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the servers show the system's time")]
fn now() -> SystemTime {
    SystemTime::now()
}

/// The ports of the servers, and their options.
fn servers_of_auth_js(signing_keys: SigningKeys) -> [(u16, Options); 5] {
    let docker = Settings { allows_anonymous_users: false, ..common_settings() };
    let unconfirmed = Settings { confirms_emails: false, confirms_phones: false, ..docker.clone() };
    let disabled = Settings {
        allows_sign_ups: false,
        allows_emails: false,
        allows_phones: false,
        ..unconfirmed.clone()
    };
    let options = |algorithm, settings| Options { algorithm, settings, ..Options::default() };
    let local_project = Options { signing_keys, ..options(Algorithm::Rs256, common_settings()) };
    [
        (54321, local_project),
        (9996, options(Algorithm::Rs256, docker)),
        (9997, options(Algorithm::Hs256, disabled)),
        (9998, options(Algorithm::Hs256, common_settings())),
        (9999, options(Algorithm::Hs256, unconfirmed)),
    ]
}

/// The settings of a local project. None of the servers has credentials for a provider of text messages.
fn common_settings() -> Settings {
    Settings {
        providers: vec!["google".to_owned()],
        sends_texts: false,
        allows_manual_linking: false,
        disabled: vec![Feature::Saml, Feature::Scim, Feature::Web3],
        ..Settings::default()
    }
}
