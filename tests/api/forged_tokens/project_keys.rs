//! The keys with which a project signs and those that the gateway knows; and the gateway's token verifier
//! without HTTP, which returns the reason of a rejection.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use gotrue_mock::{Algorithm, TEST_SECRET};
use logout_gateway::internals::session::{
    jwks::Jwks,
    token::TokenError,
    verifier::{CheckedToken, SignatureStatus, Verifier},
};
use serde_json::{Value, json};

use crate::harness::{Setup, Signer, TestApp};

/// Which keys a project has, and which of them the gateway knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProjectKeys {
    /// One key of this algorithm in the key set, and no shared secret.
    OneKey(Algorithm),
    /// Two keys of each algorithm in the key set, and the shared secret.
    EveryKey,
    /// An empty key set, and the shared secret.
    SharedSecret,
    /// An empty key set, and a shared secret that only GoTrue knows: the gateway leaves the check of
    /// signatures to GoTrue.
    SecretUnknownToGateway,
}

/// The project's keys, two of each algorithm. GoTrue signs with the first of each.
static KEYS: LazyLock<Vec<Signer>> = LazyLock::new(|| {
    [Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa]
        .into_iter()
        .flat_map(|algorithm| {
            let second = Signer::generate(algorithm, &format!("the-second-{algorithm}-key"));
            [Signer::project_key(algorithm), second]
        })
        .collect()
});
static SECRET: LazyLock<Signer> = LazyLock::new(|| Signer::from_secret(TEST_SECRET));
static FOREIGN_KEY: LazyLock<Signer> =
    LazyLock::new(|| Signer::generate(Algorithm::Es256, "a-foreign-key"));
static FOREIGN_SECRET: LazyLock<Signer> =
    LazyLock::new(|| Signer::generate(Algorithm::Hs256, "a-foreign-secret"));

impl ProjectKeys {
    /// The algorithm with which GoTrue signs.
    pub(crate) fn algorithm(self) -> Algorithm {
        match self {
            Self::OneKey(algorithm) => algorithm,
            Self::EveryKey => Algorithm::Es256,
            Self::SharedSecret | Self::SecretUnknownToGateway => Algorithm::Hs256,
        }
    }

    /// The keys in the project's key set.
    pub(crate) fn published_keys(self) -> &'static [Signer] {
        match self {
            Self::OneKey(algorithm) => {
                let first = KEYS.iter().position(|key| key.algorithm == algorithm).unwrap();
                &KEYS[first..=first]
            }
            Self::EveryKey => &KEYS,
            Self::SharedSecret | Self::SecretUnknownToGateway => &[],
        }
    }

    /// The key with which GoTrue signs.
    pub(crate) fn signing_key(self) -> &'static Signer {
        self.published_keys().first().unwrap_or(&SECRET)
    }

    /// A key of the same algorithm that the project does not have.
    pub(crate) fn foreign_key(self) -> &'static Signer {
        match self {
            // The second key is not in this key set. Generating an RSA key here would take long.
            Self::OneKey(algorithm) => KEYS.iter().rfind(|key| key.algorithm == algorithm).unwrap(),
            Self::EveryKey => &FOREIGN_KEY,
            Self::SharedSecret | Self::SecretUnknownToGateway => &FOREIGN_SECRET,
        }
    }

    fn gateway_has_secret(self) -> bool {
        matches!(self, Self::EveryKey | Self::SharedSecret)
    }

    /// The rejection of an HS256 token that is signed with another secret.
    pub(crate) fn rejection_of_wrong_secret(self) -> Rejection {
        if self.gateway_has_secret() { TokenError::Signature.into() } else { Rejection::ByGoTrue }
    }

    /// The rejection of a token whose header names the project's key and whose signature is not by that key.
    pub(crate) fn rejection_of_wrong_signature(self) -> Rejection {
        match self.algorithm() {
            Algorithm::Hs256 => self.rejection_of_wrong_secret(),
            _ => TokenError::Signature.into(),
        }
    }

    /// The rejection of a token whose claims part was changed into something that is not base64url. A gateway
    /// that has the key checks the signature first.
    pub(crate) fn rejection_of_changed_claims(self) -> Rejection {
        match self {
            Self::SecretUnknownToGateway => TokenError::Malformed.into(),
            _ => TokenError::Signature.into(),
        }
    }

    fn key_set(self) -> Value {
        json!({ "keys": self.published_keys().iter().map(Signer::public_jwk).collect::<Vec<_>>() })
    }

    fn setup(self) -> Setup {
        let setup = Setup::new().algorithm(self.algorithm());
        if self.gateway_has_secret() {
            setup.flag("supabase-jwt-secret", TEST_SECRET)
        } else {
            setup
        }
    }

    pub(crate) async fn start_app(self) -> TestApp {
        let keys = json!({"operation": "jwks", "kind": "status", "status": 200,
            "body": self.key_set()});
        self.setup().start_with_faults(&[keys]).await
    }

    /// The gateway's verifier with the keys of `app`.
    pub(crate) async fn verifier(self, app: &TestApp) -> TestVerifier {
        let verifier = TestVerifier::new(self.setup(), app, &self.key_set()).await;
        let expected_signature = if self == Self::SecretUnknownToGateway {
            SignatureStatus::LeftToGoTrue
        } else {
            SignatureStatus::Verified
        };
        TestVerifier { expected_signature, ..verifier }
    }
}

/// Why a token is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// The verifier returns this error.
    Invalid(TokenError),
    /// The token is valid but expired.
    Expired,
    /// The verifier leaves the check of the signature to GoTrue, and GoTrue rejects the token.
    ByGoTrue,
}

impl Rejection {
    /// Whether the rejection depends on the project's keys, and not only on the text of the token.
    pub(crate) fn depends_on_keys(self) -> bool {
        let of_keys = [TokenError::UnknownKey, TokenError::Signature].map(Self::Invalid);
        self == Self::ByGoTrue || of_keys.contains(&self)
    }
}

impl From<TokenError> for Rejection {
    fn from(error: TokenError) -> Self {
        Self::Invalid(error)
    }
}

/// The gateway's token verifier at a fixed time.
pub(crate) struct TestVerifier {
    verifier: Verifier,
    /// The signature status of a token that the project signed.
    expected_signature: SignatureStatus,
    now: i64,
}

impl TestVerifier {
    /// The verifier of the gateway that `setup` configures, with this key set.
    pub(crate) async fn new(setup: Setup, app: &TestApp, key_set: &Value) -> Self {
        // The verifier does not wait for a refetch of the key set.
        let jwks = Arc::new(Jwks::new(Duration::ZERO, Arc::default()));
        let body = key_set.to_string().into_bytes();
        let fetched = async {
            while jwks.current().is_none() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            () = jwks.keep_fetching(async || Ok::<_, String>(body.clone())) => {}
            () = fetched => {}
        }
        let config = setup.flag("supabase-url", app.mock.url()).config();
        let verifier = Verifier::new(&config.supabase, jwks);
        Self { verifier, expected_signature: SignatureStatus::Verified, now: app.clock.now() }
    }

    /// The rejection of `token`, or `None` if it is accepted.
    pub(crate) async fn rejection(&self, token: &str) -> Option<Rejection> {
        match self.verifier.verify_or_refetch(token, self.now).await {
            Err(error) => Some(Rejection::Invalid(error)),
            Ok(CheckedToken { expired: true, .. }) => Some(Rejection::Expired),
            Ok(CheckedToken { signature: SignatureStatus::LeftToGoTrue, .. }) => {
                Some(Rejection::ByGoTrue)
            }
            Ok(_) => None,
        }
    }

    /// Whether HS256 is accepted in addition to signing keys although no HS256 token was used lately.
    pub(crate) fn hs256_is_unused(&self) -> bool {
        self.verifier.hs256_is_unused()
    }

    /// Whether `token` is accepted; with [`ProjectKeys::SecretUnknownToGateway`], as far as the gateway can
    /// check.
    pub(crate) async fn accepts(&self, token: &str) -> bool {
        let checked = self.verifier.verify_or_refetch(token, self.now).await;
        checked
            .is_ok_and(|checked| !checked.expired && checked.signature == self.expected_signature)
    }
}
