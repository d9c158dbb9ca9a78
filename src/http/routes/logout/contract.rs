//! The published contracts of a logout. They differ in the path and in the body of a success.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use uuid::Uuid;

use crate::outcome::Route;

/// A published contract of a logout, which decides the response to a successful one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contract {
    /// `{"data":{"success":true}}`
    Envelope,
    /// A 204 without a body.
    Rest,
    /// `{"message":"Logout successful. User id: …"}`
    SessionApi,
    /// A redirect. [`super::form`] makes it from a 204.
    Form,
}

/// Success of the envelope API.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = LogoutSuccess))]
pub(super) struct SuccessEnvelope {
    data: Success,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
struct Success {
    success: bool,
}

/// Success of the session API.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = LogoutMessage))]
pub(super) struct SessionApi {
    message: String,
}

impl Contract {
    pub(super) fn success(self, user: Uuid) -> Response {
        match self {
            Self::Envelope => {
                Json(SuccessEnvelope { data: Success { success: true } }).into_response()
            }
            Self::Rest | Self::Form => StatusCode::NO_CONTENT.into_response(),
            Self::SessionApi => {
                Json(SessionApi { message: format!("Logout successful. User id: {user}") })
                    .into_response()
            }
        }
    }

    pub(super) fn route(self) -> Route {
        match self {
            Self::Envelope => Route::Envelope,
            Self::Rest => Route::Rest,
            Self::SessionApi | Self::Form => Route::SessionApi,
        }
    }
}
