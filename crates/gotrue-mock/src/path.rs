//! Reads the parameters of a path.

use std::convert::Infallible;

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};
use serde::de::DeserializeOwned;

/// The parameters of a path. A parameter that is not UTF-8 is an empty text, and no rejection: like GoTrue, the handler
/// checks the credentials first, and then refuses a text that is no id.
pub(crate) struct PathIds<T>(pub(crate) T);

impl<T, S> FromRequestParts<S> for PathIds<T>
where
    T: Default + DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let path = Path::<T>::from_request_parts(parts, state).await;
        Ok(Self(path.map(|Path(ids)| ids).unwrap_or_default()))
    }
}
