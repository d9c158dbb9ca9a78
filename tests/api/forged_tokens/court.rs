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

use crate::harness::{Setup, Signer, Stage};

/// Who can judge what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Court {
    /// One key of this algorithm, and no secret.
    OneKey(Algorithm),
    /// Two keys of each algorithm, and the secret.
    EveryKey,
    /// No key, and the secret.
    Secret,
    /// No key and no secret: GoTrue judges.
    GoTrue,
}

/// The project's keys, two of each algorithm; the first of each is the one that GoTrue signs with.
static KEYS: LazyLock<Vec<Signer>> = LazyLock::new(|| {
    [Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa]
        .into_iter()
        .flat_map(|algorithm| {
            let second = Signer::another(algorithm, &format!("the-second-{algorithm}-key"));
            [Signer::of_the_project(algorithm), second]
        })
        .collect()
});
static SECRET: LazyLock<Signer> = LazyLock::new(|| Signer::of_secret(TEST_SECRET));
static STRANGE_KEY: LazyLock<Signer> =
    LazyLock::new(|| Signer::another(Algorithm::Es256, "a-key-of-nobody"));
static STRANGE_SECRET: LazyLock<Signer> =
    LazyLock::new(|| Signer::another(Algorithm::Hs256, "a-secret-of-nobody"));

impl Court {
    /// What the project signs with.
    pub(crate) fn algorithm(self) -> Algorithm {
        match self {
            Self::OneKey(algorithm) => algorithm,
            Self::EveryKey => Algorithm::Es256,
            Self::Secret | Self::GoTrue => Algorithm::Hs256,
        }
    }

    /// Every key that it publishes.
    pub(crate) fn keys(self) -> &'static [Signer] {
        match self {
            Self::OneKey(algorithm) => {
                let first = KEYS.iter().position(|key| key.algorithm == algorithm).unwrap();
                &KEYS[first..=first]
            }
            Self::EveryKey => &KEYS,
            Self::Secret | Self::GoTrue => &[],
        }
    }

    /// The key that it signs with.
    pub(crate) fn own(self) -> &'static Signer {
        self.keys().first().unwrap_or(&SECRET)
    }

    /// A key of the same kind that is not the project's.
    pub(crate) fn stranger(self) -> &'static Signer {
        match self {
            // An RSA key takes long to make: here the second one is nobody's.
            Self::OneKey(algorithm) => KEYS.iter().rfind(|key| key.algorithm == algorithm).unwrap(),
            Self::EveryKey => &STRANGE_KEY,
            Self::Secret | Self::GoTrue => &STRANGE_SECRET,
        }
    }

    fn knows_the_secret(self) -> bool {
        matches!(self, Self::EveryKey | Self::Secret)
    }

    /// Why an HS256 token that is not signed with the secret is refused.
    pub(crate) fn not_of_the_secret(self) -> Why {
        if self.knows_the_secret() { TokenError::Signature.into() } else { Why::GoTrueSays }
    }

    /// Why a token with this header is refused if it is not signed with the key that it names.
    pub(crate) fn not_signed(self) -> Why {
        match self.algorithm() {
            Algorithm::Hs256 => self.not_of_the_secret(),
            _ => TokenError::Signature.into(),
        }
    }

    /// Why a token is refused whose claims are not what was signed, and no code either: where there is
    /// a key, the signature comes first.
    pub(crate) fn changed_claims(self) -> Why {
        match self {
            Self::GoTrue => TokenError::Malformed.into(),
            _ => TokenError::Signature.into(),
        }
    }

    fn key_set(self) -> Value {
        json!({ "keys": self.keys().iter().map(Signer::public_jwk).collect::<Vec<_>>() })
    }

    fn setup(self) -> Setup {
        let setup = Setup::new().algorithm(self.algorithm());
        if self.knows_the_secret() { setup.flag("supabase-jwt-secret", TEST_SECRET) } else { setup }
    }

    pub(crate) async fn stage(self) -> Stage {
        let keys = json!({"operation": "jwks", "kind": "status", "status": 200,
            "body": self.key_set()});
        self.setup().start_with(&[keys]).await
    }

    /// The gateway's own judge, with the keys of that stage.
    pub(crate) async fn judge(self, stage: &Stage) -> Judge {
        let judge = Judge::new(self.setup(), stage, &self.key_set()).await;
        let standing = if self == Self::GoTrue {
            SignatureStatus::LeftToGoTrue
        } else {
            SignatureStatus::Verified
        };
        Judge { standing, ..judge }
    }
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// It breaks this rule.
    Breaks(TokenError),
    /// It is genuine, and its time is over.
    Expired,
    /// It breaks no rule, and GoTrue does not take its signature.
    GoTrueSays,
}

impl Why {
    /// Whether keys had to be looked at.
    pub(crate) fn is_of_its_signature(self) -> bool {
        let of_keys = [TokenError::UnknownKey, TokenError::Signature].map(Self::Breaks);
        self == Self::GoTrueSays || of_keys.contains(&self)
    }
}

impl From<TokenError> for Why {
    fn from(fault: TokenError) -> Self {
        Self::Breaks(fault)
    }
}

pub(crate) struct Judge {
    verifier: Verifier,
    /// Of a token that its project signed.
    standing: SignatureStatus,
    now: i64,
}

impl Judge {
    /// Of the gateway that `setup` starts, with these keys.
    pub(crate) async fn new(setup: Setup, stage: &Stage, key_set: &Value) -> Self {
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
        let config = setup.flag("supabase-url", stage.mock.url()).config();
        let verifier = Verifier::new(&config.supabase, jwks);
        Self { verifier, standing: SignatureStatus::Verified, now: stage.time.now() }
    }

    /// What stands against `token`, if anything does.
    pub(crate) async fn against(&self, token: &str) -> Option<Why> {
        match self.verifier.verify_or_refetch(token, self.now).await {
            Err(fault) => Some(Why::Breaks(fault)),
            Ok(CheckedToken { expired: true, .. }) => Some(Why::Expired),
            Ok(CheckedToken { signature: SignatureStatus::LeftToGoTrue, .. }) => {
                Some(Why::GoTrueSays)
            }
            Ok(_) => None,
        }
    }

    /// Whether HS256 is accepted beside signing keys and no such token came lately.
    pub(crate) fn hs256_is_unused(&self) -> bool {
        self.verifier.hs256_is_unused()
    }

    /// Whether `token` breaks no rule here, so that it counts if the project signed it.
    pub(crate) async fn believes(&self, token: &str) -> bool {
        let judged = self.verifier.verify_or_refetch(token, self.now).await;
        judged.is_ok_and(|judged| !judged.expired && judged.signature == self.standing)
    }
}
