//! Where a token is judged: a project with its keys, a gateway in front of it, and the same judge
//! once more without HTTP, which tells its reasons.

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

/// Who can judge what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProjectKeys {
    /// One key of this algorithm, and no secret.
    OneKey(Algorithm),
    /// Two keys of each algorithm, and the secret.
    EveryKey,
    /// No key, and the secret.
    SharedSecret,
    /// No key and no secret: GoTrue judges.
    SecretUnknownToGateway,
}

/// The project's keys, two of each algorithm; the first of each is the one that GoTrue signs with.
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
    LazyLock::new(|| Signer::generate(Algorithm::Es256, "a-key-of-nobody"));
static FOREIGN_SECRET: LazyLock<Signer> =
    LazyLock::new(|| Signer::generate(Algorithm::Hs256, "a-secret-of-nobody"));

impl ProjectKeys {
    /// What the project signs with.
    pub(crate) fn algorithm(self) -> Algorithm {
        match self {
            Self::OneKey(algorithm) => algorithm,
            Self::EveryKey => Algorithm::Es256,
            Self::SharedSecret | Self::SecretUnknownToGateway => Algorithm::Hs256,
        }
    }

    /// Every key that it publishes.
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

    /// The key that it signs with.
    pub(crate) fn signing_key(self) -> &'static Signer {
        self.published_keys().first().unwrap_or(&SECRET)
    }

    /// A key of the same kind that is not the project's.
    pub(crate) fn foreign_key(self) -> &'static Signer {
        match self {
            // An RSA key takes long to make: here the second one is nobody's.
            Self::OneKey(algorithm) => KEYS.iter().rfind(|key| key.algorithm == algorithm).unwrap(),
            Self::EveryKey => &FOREIGN_KEY,
            Self::SharedSecret | Self::SecretUnknownToGateway => &FOREIGN_SECRET,
        }
    }

    fn knows_the_secret(self) -> bool {
        matches!(self, Self::EveryKey | Self::SharedSecret)
    }

    /// Why an HS256 token that is not signed with the secret is refused.
    pub(crate) fn rejection_of_wrong_secret(self) -> Rejection {
        if self.knows_the_secret() { TokenError::Signature.into() } else { Rejection::ByGoTrue }
    }

    /// Why a token with this header is refused if it is not signed with the key that it names.
    pub(crate) fn rejection_of_wrong_signature(self) -> Rejection {
        match self.algorithm() {
            Algorithm::Hs256 => self.rejection_of_wrong_secret(),
            _ => TokenError::Signature.into(),
        }
    }

    /// Why a token is refused whose claims are not what was signed, and no code either: where there is
    /// a key, the signature comes first.
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
        if self.knows_the_secret() { setup.flag("supabase-jwt-secret", TEST_SECRET) } else { setup }
    }

    pub(crate) async fn start_app(self) -> TestApp {
        let keys = json!({"operation": "jwks", "kind": "status", "status": 200,
            "body": self.key_set()});
        self.setup().start_with_faults(&[keys]).await
    }

    /// The gateway's own judge, with the keys of that app.
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

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// It breaks this rule.
    Invalid(TokenError),
    /// It is genuine, and its time is over.
    Expired,
    /// It breaks no rule, and GoTrue does not take its signature.
    ByGoTrue,
}

impl Rejection {
    /// Whether keys had to be looked at.
    pub(crate) fn depends_on_keys(self) -> bool {
        let of_keys = [TokenError::UnknownKey, TokenError::Signature].map(Self::Invalid);
        self == Self::ByGoTrue || of_keys.contains(&self)
    }
}

impl From<TokenError> for Rejection {
    fn from(fault: TokenError) -> Self {
        Self::Invalid(fault)
    }
}

pub(crate) struct TestVerifier {
    verifier: Verifier,
    /// Of a token that its project signed.
    expected_signature: SignatureStatus,
    now: i64,
}

impl TestVerifier {
    /// Of the gateway that `setup` starts, with these keys.
    pub(crate) async fn new(setup: Setup, app: &TestApp, key_set: &Value) -> Self {
        // Nobody waits for a refetch.
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

    /// What stands against `token`, if anything does.
    pub(crate) async fn rejection(&self, token: &str) -> Option<Rejection> {
        match self.verifier.verify_or_refetch(token, self.now).await {
            Err(fault) => Some(Rejection::Invalid(fault)),
            Ok(CheckedToken { expired: true, .. }) => Some(Rejection::Expired),
            Ok(CheckedToken { signature: SignatureStatus::LeftToGoTrue, .. }) => {
                Some(Rejection::ByGoTrue)
            }
            Ok(_) => None,
        }
    }

    /// Whether HS256 is accepted beside signing keys and no such token came lately.
    pub(crate) fn hs256_is_unused(&self) -> bool {
        self.verifier.hs256_is_unused()
    }

    /// Whether `token` breaks no rule here, so that it counts if the project signed it.
    pub(crate) async fn accepts(&self, token: &str) -> bool {
        let checked = self.verifier.verify_or_refetch(token, self.now).await;
        checked
            .is_ok_and(|checked| !checked.expired && checked.signature == self.expected_signature)
    }
}
