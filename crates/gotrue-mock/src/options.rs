//! The configuration of a mock.

use std::time::Duration;

use url::Url;

use crate::{
    algorithm::Algorithm, initial_users::InitialUsers, keys::SigningKeys, settings::Settings,
};

/// The configuration of a mock.
#[derive(Clone, Debug)]
pub struct Options {
    /// The algorithm of access tokens; `signing_keys` must hold a key for it.
    pub algorithm: Algorithm,
    /// The lifetime of an access token (`exp` minus `iat`) in whole seconds; a fraction of a second
    /// is cut off.
    pub token_lifetime: Duration,
    /// The private keys among which the mock finds its signing key.
    pub signing_keys: SigningKeys,
    /// The URL under which clients reach the mock, without a slash at its end: it begins the links of mails, the
    /// redirects of providers and the issuer (`API_EXTERNAL_URL`). The default is `http://<address>`, with 127.0.0.1
    /// for an address that stands for all interfaces.
    pub external_url: Option<String>,
    /// The `iss` claim of access tokens. The default is `http://<address>/auth/v1`. An empty issuer
    /// writes no claim, as GoTrue does without a configured issuer.
    pub issuer: Option<String>,
    /// The seed of a fixed sequence of ids and refresh tokens, which starts again at every reset.
    /// Without a seed they are random.
    pub seed: Option<u64>,
    /// Whether a reset begins the sequence of the seed again. Not with a gateway in front of the mock, which refuses
    /// the ids of sessions that have ended.
    pub restarts_seed: bool,
    /// The users that exist from the start, and again after every reset.
    pub users: InitialUsers,
    /// The settings of the server.
    pub settings: Settings,
    /// The `version` in the answer of `GET /health`: a GoTrue release such as `v2.180.0`, or empty
    /// as in a build of GoTrue without a version (recorded: `health`).
    pub version: String,
    /// The base URL, with `http`, of the server that answers requests for paths that are not the mock's. Without it
    /// they are answered 404.
    pub fallback: Option<Url>,
}

/// The defaults: ES256 with the test keys, tokens of one hour, the mock's own issuer, random ids,
/// version `v2.180.0`.
impl Default for Options {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::Es256,
            token_lifetime: Duration::from_hours(1),
            signing_keys: SigningKeys::test_keys(),
            external_url: None,
            issuer: None,
            seed: None,
            restarts_seed: true,
            users: InitialUsers::default(),
            settings: Settings::default(),
            version: "v2.180.0".to_owned(),
            fallback: None,
        }
    }
}
