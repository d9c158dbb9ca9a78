//! A sign-in at an identity provider that has begun, between `GET /authorize` and `GET /callback`.

use std::fmt;

use uuid::Uuid;

/// The parameters of a request to `GET /authorize`.
#[derive(Clone)]
pub(crate) struct ExternalFlow {
    /// The parameter `state`.
    pub(crate) state: Uuid,
    /// The provider as the client wrote it.
    pub(crate) provider: String,
    /// The address to which the callback leads.
    pub(crate) redirect_to: String,
    /// The token hash of an invitation; empty if there is none.
    pub(crate) invite_token: String,
    /// The user to whom the identity is to be linked; `None` if the person signs in.
    pub(crate) linking_user: Option<Uuid>,
}

/// The tokens of the identity provider, which GoTrue passes on to the client once.
#[derive(Clone)]
pub(crate) struct ProviderTokens {
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
}

/// Shows the provider only: `state` and the token of an invitation are credentials.
impl fmt::Debug for ExternalFlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalFlow").field("provider", &self.provider).finish_non_exhaustive()
    }
}

impl fmt::Debug for ProviderTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderTokens").finish_non_exhaustive()
    }
}
