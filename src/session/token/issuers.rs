//! The issuers (`iss`) of access tokens that the gateway accepts.
//!
//! If `GATEWAY_JWT_ISSUER` is not set, these are the issuer that GoTrue publishes, `<SUPABASE_URL>/auth/v1`,
//! `<SUPABASE_URL>`, and none at all. GoTrue writes an `iss` only if it is configured: self-hosted stacks of
//! before May 2026 write none, and those of May and June 2026 write `<SUPABASE_URL>`. Tokens without `iss` are
//! safe to accept, because the signature by the project's key or secret proves that they are the project's.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::config::{Issuer, Supabase, Warning};

/// The issuer in GoTrue's answer to `GET /.well-known/openid-configuration`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum PublishedIssuer {
    /// GoTrue has not answered.
    #[default]
    Unknown,
    /// GoTrue publishes no issuer, or has no such document.
    Absent,
    /// GoTrue publishes this issuer.
    Named(String),
}

impl PublishedIssuer {
    /// A warning if the configuration does not fit this answer.
    pub(crate) fn warning(&self, supabase: &Supabase) -> Option<Warning> {
        match self {
            Self::Unknown => None,
            Self::Absent => supabase.issuer_warning(None),
            Self::Named(issuer) => supabase.issuer_warning(Some(issuer)),
        }
    }
}

impl From<Option<String>> for PublishedIssuer {
    fn from(issuer: Option<String>) -> Self {
        issuer.map_or(Self::Absent, Self::Named)
    }
}

/// The accepted issuers. Clones share the issuer that GoTrue publishes.
#[derive(Clone, Debug)]
pub(crate) struct AcceptedIssuers {
    /// `GATEWAY_JWT_ISSUER`; empty if it is not set.
    configured: Vec<Issuer>,
    defaults: [String; 2],
    /// The last answer of GoTrue.
    published: Arc<ArcSwap<PublishedIssuer>>,
}

impl AcceptedIssuers {
    pub(super) fn new(supabase: &Supabase) -> Self {
        Self {
            configured: supabase.issuers.clone(),
            defaults: supabase.project.default_issuers.clone(),
            published: Arc::default(),
        }
    }

    /// Whether a token with this `iss` is accepted; `None` for a token without one.
    pub(super) fn is_accepted(&self, iss: Option<&str>) -> bool {
        if !self.configured.is_empty() {
            return self.configured.iter().any(|issuer| match issuer {
                Issuer::Named(named) => iss == Some(named),
                Issuer::Absent => iss.is_none(),
            });
        }
        let Some(iss) = iss else { return true };
        self.defaults.iter().any(|default| default == iss)
            || matches!(&**self.published.load(), PublishedIssuer::Named(name) if name == iss)
    }

    /// Whether the issuer that GoTrue publishes is accepted: only if `GATEWAY_JWT_ISSUER` is not set.
    pub(crate) fn accept_published(&self) -> bool {
        self.configured.is_empty()
    }

    /// The issuer that GoTrue publishes.
    pub(crate) fn published(&self) -> Arc<PublishedIssuer> {
        self.published.load_full()
    }

    /// Whether `answer` is still the last answer of GoTrue.
    pub(crate) fn is_published(&self, answer: &Arc<PublishedIssuer>) -> bool {
        Arc::ptr_eq(answer, &self.published.load())
    }

    /// Stores GoTrue's answer. An unchanged answer is not stored, so that cached tokens stay valid.
    pub(crate) fn set_published(&self, issuer: PublishedIssuer) {
        if **self.published.load() != issuer {
            self.published.store(Arc::new(issuer));
        }
    }
}

/// The accepted issuers, for an operator.
impl std::fmt::Display for AcceptedIssuers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<String> = if self.configured.is_empty() {
            let published = match &*self.published() {
                PublishedIssuer::Named(name) => Some(name.clone()),
                PublishedIssuer::Absent | PublishedIssuer::Unknown => None,
            };
            let mut names: Vec<_> = published.into_iter().chain(self.defaults.clone()).collect();
            names.dedup();
            names.push("none".to_owned());
            names
        } else {
            self.configured.iter().map(ToString::to_string).collect()
        };
        f.write_str(&names.join(", "))
    }
}
