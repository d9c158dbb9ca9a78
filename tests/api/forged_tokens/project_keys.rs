//! The keys with which a project signs and those that the gateway knows. Also the gateway's token verifier
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

/// Which keys a project has, and which of these keys the gateway knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProjectKeys {
    /// The key set has one key, of this algorithm, and the project has no shared secret.
    OneKey(Algorithm),
    /// The key set has two keys of each algorithm, and the project has the shared secret too.
    EveryKey,
    /// The key set is empty, and the gateway knows the project's shared secret.
    SharedSecret,
    /// The key set is empty, and only GoTrue knows the shared secret: the gateway leaves the check of
    /// signatures to GoTrue.
    SecretUnknownToGateway,
}

/// The project's keys: two of each algorithm. GoTrue signs with the first of the two.
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
    /// The algorithm with which GoTrue signs the project's tokens.
    pub(crate) fn algorithm(self) -> Algorithm {
        match self {
            Self::OneKey(algorithm) => algorithm,
            Self::EveryKey => Algorithm::Es256,
            Self::SharedSecret | Self::SecretUnknownToGateway => Algorithm::Hs256,
        }
    }

    /// The keys in the project's key set, that with which GoTrue signs first.
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

    /// The key or the shared secret with which GoTrue signs the project's tokens.
    pub(crate) fn signing_key(self) -> &'static Signer {
        self.published_keys().first().unwrap_or(&SECRET)
    }

    /// A key of the same algorithm that does not belong to the project.
    pub(crate) fn foreign_key(self) -> &'static Signer {
        match self {
            // The second key of the algorithm is not in this key set. Use it, because generating an RSA key
            // takes long.
            Self::OneKey(algorithm) => KEYS.iter().rfind(|key| key.algorithm == algorithm).unwrap(),
            Self::EveryKey => &FOREIGN_KEY,
            Self::SharedSecret | Self::SecretUnknownToGateway => &FOREIGN_SECRET,
        }
    }

    fn gateway_has_secret(self) -> bool {
        matches!(self, Self::EveryKey | Self::SharedSecret)
    }

    /// The rejection that an HS256 token must get if another secret than the project's has signed it.
    pub(crate) fn rejection_of_wrong_secret(self) -> Rejection {
        if self.gateway_has_secret() { TokenError::Signature.into() } else { Rejection::ByGoTrue }
    }

    /// The rejection that a token must get if its header names the project's key but another key has signed
    /// it.
    pub(crate) fn rejection_of_wrong_signature(self) -> Rejection {
        match self.algorithm() {
            Algorithm::Hs256 => self.rejection_of_wrong_secret(),
            _ => TokenError::Signature.into(),
        }
    }

    /// The rejection that a token must get if its claims part was changed into something that is not
    /// base64url. A gateway that has the key checks the signature before it decodes the claims.
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
        self.start_app_with(|setup| setup).await
    }

    /// Starts an app with the settings that `change` makes.
    pub(crate) async fn start_app_with(self, change: impl FnOnce(Setup) -> Setup) -> TestApp {
        let keys = json!({"operation": "jwks", "kind": "status", "status": 200,
            "body": self.key_set()});
        change(self.setup()).start_with_faults(&[keys]).await
    }

    /// The gateway's verifier with the configuration and the key set of this project.
    pub(crate) async fn verifier(self, app: &TestApp) -> TestVerifier {
        self.verifier_with(app, |setup| setup).await
    }

    /// The verifier of a gateway with the settings that `change` makes.
    pub(crate) async fn verifier_with(
        self,
        app: &TestApp,
        change: impl FnOnce(Setup) -> Setup,
    ) -> TestVerifier {
        let verifier = TestVerifier::new(change(self.setup()), app, &self.key_set()).await;
        let expected_signature = if self == Self::SecretUnknownToGateway {
            SignatureStatus::LeftToGoTrue
        } else {
            SignatureStatus::Verified
        };
        TestVerifier { expected_signature, ..verifier }
    }
}

/// The reason for which a token is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// The verifier returns this error for the token.
    Invalid(TokenError),
    /// The token is valid, but it has expired.
    Expired,
    /// The verifier leaves the check of the signature to GoTrue, and GoTrue rejects the token.
    ByGoTrue,
}

impl Rejection {
    /// Whether the rejection depends on the project's keys instead of only on the text of the token.
    pub(crate) fn depends_on_keys(self) -> bool {
        let of_keys = [TokenError::UnknownKey, TokenError::KeyAlgorithm, TokenError::Signature];
        let of_keys = of_keys.map(Self::Invalid);
        self == Self::ByGoTrue || of_keys.contains(&self)
    }
}

impl From<TokenError> for Rejection {
    fn from(error: TokenError) -> Self {
        Self::Invalid(error)
    }
}

/// The gateway's token verifier, with a clock that stands still.
pub(crate) struct TestVerifier {
    verifier: Verifier,
    /// The signature status that the verifier reports for a token that the project signed.
    expected_signature: SignatureStatus,
    now: i64,
}

impl TestVerifier {
    /// Makes the verifier of a gateway that `setup` configures, with the keys of `key_set`.
    pub(crate) async fn new(setup: Setup, app: &TestApp, key_set: &Value) -> Self {
        // The zero limit makes the verifier answer at once instead of waiting until the key set is fetched
        // again.
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

    /// The rejection of `token`, or `None` if the verifier accepts it.
    pub(crate) fn rejection(&self, token: &str) -> Option<Rejection> {
        match self.verifier.verify(token, self.now) {
            Err(error) => Some(Rejection::Invalid(error)),
            Ok(CheckedToken { expired: true, .. }) => Some(Rejection::Expired),
            Ok(CheckedToken { signature: SignatureStatus::LeftToGoTrue, .. }) => {
                Some(Rejection::ByGoTrue)
            }
            Ok(_) => None,
        }
    }

    /// Whether the verifier accepts HS256 besides the algorithms of the key set, although no HS256 token was
    /// used lately.
    pub(crate) fn hs256_is_unused(&self) -> bool {
        self.verifier.hs256_is_unused()
    }

    /// Whether the verifier accepts `token`; with [`ProjectKeys::SecretUnknownToGateway`] the verifier cannot
    /// check the signature.
    pub(crate) fn accepts(&self, token: &str) -> bool {
        let checked = self.verifier.verify(token, self.now);
        checked
            .is_ok_and(|checked| !checked.expired && checked.signature == self.expected_signature)
    }
}
