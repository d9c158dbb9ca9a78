//! Converts the errors of other modules into the errors that clients get.

use super::Error;
use crate::{
    csrf::{CsrfError, origin::CrossSiteError},
    gotrue::Refusal,
    http::{authentication::IntrospectionError, in_flight_limit::OverLimitError},
    session::AuthenticationError,
};

impl From<Box<CrossSiteError>> for Error {
    fn from(origins: Box<CrossSiteError>) -> Self {
        Self::CsrfCrossSite(Some(origins))
    }
}

impl From<CsrfError> for Error {
    fn from(error: CsrfError) -> Self {
        match error {
            CsrfError::Missing => Self::CsrfMissing,
            CsrfError::Invalid => Self::CsrfInvalid,
        }
    }
}

impl From<AuthenticationError> for Error {
    fn from(error: AuthenticationError) -> Self {
        match error {
            AuthenticationError::Missing => Self::CredentialMissing,
            AuthenticationError::OtherProject(other) => Self::CredentialOfOtherProject(other),
            AuthenticationError::BearerBesideOtherProject(other) => {
                Self::BearerBesideOtherProject(other)
            }
            AuthenticationError::Invalid(error) => Self::CredentialInvalid(error),
            AuthenticationError::ClaimNotAccepted(mismatch) => Self::ClaimNotAccepted(mismatch),
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::SessionNotFound | Refusal::UserNotFound => Self::SessionNotFound,
            Refusal::UserBanned => Self::UserBanned,
            Refusal::RateLimited { retry_after } => Self::RateLimited { retry_after },
            Refusal::Unavailable { .. } | Refusal::NoAnswer => Self::AuthServiceUnavailable,
            Refusal::GatewayTimeout | Refusal::Timeout => Self::AuthServiceTimeout,
            Refusal::RefreshTokenRefused => Self::CredentialExpired,
            Refusal::BadJwt | Refusal::Failed | Refusal::Unexpected => Self::AuthServiceFailed,
        }
    }
}

impl From<OverLimitError> for Error {
    fn from(OverLimitError: OverLimitError) -> Self {
        Self::Overloaded
    }
}

impl From<IntrospectionError> for Error {
    fn from(error: IntrospectionError) -> Self {
        match error {
            IntrospectionError::Overloaded => Self::Overloaded,
            IntrospectionError::Refused(refusal) => refusal.into(),
        }
    }
}
