//! GoTrue's endpoints that the mock does not have. Each is answered with status 501 and its name, unless the settings switch
//! its feature off: then the answer is GoTrue's.

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, Method, Uri},
    response::{IntoResponse, Response},
    routing::{MethodFilter, on},
};

use crate::{
    authentication::{Caller, require_administrator},
    error::GotrueError,
    mock::Mock,
    router::not_found,
    routes::identities::check_linking,
    settings::Feature,
};

const CRUD: MethodFilter = MethodFilter::GET.or(MethodFilter::PUT).or(MethodFilter::DELETE);
const LIST: MethodFilter = MethodFilter::GET.or(MethodFilter::POST);

/// The paths and methods of the endpoints. `docs/ci.md` lists them by feature.
const ENDPOINTS: [(&str, MethodFilter); 30] = [
    ("/factors/recovery-codes", MethodFilter::GET.or(MethodFilter::POST).or(MethodFilter::DELETE)),
    ("/factors/recovery-codes/verify", MethodFilter::POST),
    ("/factors/recovery-codes/regenerate", MethodFilter::POST),
    ("/passkeys", MethodFilter::GET),
    ("/passkeys/{passkey_id}", MethodFilter::PATCH.or(MethodFilter::DELETE)),
    ("/passkeys/authentication/options", MethodFilter::POST),
    ("/passkeys/authentication/verify", MethodFilter::POST),
    ("/passkeys/registration/options", MethodFilter::POST),
    ("/passkeys/registration/verify", MethodFilter::POST),
    ("/admin/users/{user_id}/passkeys/{passkey_id}", MethodFilter::DELETE),
    ("/.well-known/oauth-authorization-server", MethodFilter::GET),
    ("/oauth/clients/register", MethodFilter::POST),
    ("/oauth/token", MethodFilter::POST),
    ("/oauth/userinfo", MethodFilter::GET),
    ("/oauth/authorize", MethodFilter::GET),
    ("/oauth/authorizations/{authorization_id}", MethodFilter::GET),
    ("/oauth/authorizations/{authorization_id}/consent", MethodFilter::POST),
    ("/user/oauth/grants", MethodFilter::GET.or(MethodFilter::DELETE)),
    ("/admin/oauth/clients", LIST),
    ("/admin/oauth/clients/{client_id}", CRUD),
    ("/admin/oauth/clients/{client_id}/regenerate_secret", MethodFilter::POST),
    ("/sso", MethodFilter::POST),
    ("/sso/saml/metadata", MethodFilter::GET),
    ("/sso/saml/acs", MethodFilter::POST),
    ("/admin/sso/providers", MethodFilter::POST),
    ("/admin/sso/providers/{idp_id}", CRUD),
    ("/admin/custom-providers/{identifier}", CRUD),
    ("/scim/v2/ServiceProviderConfig", MethodFilter::GET),
    ("/scim/v2/ResourceTypes", MethodFilter::GET),
    ("/scim/v2/Schemas", MethodFilter::GET),
];

/// The paths of the endpoints, under `/auth/v1`.
pub(crate) fn paths() -> impl Iterator<Item = &'static str> {
    ENDPOINTS.into_iter().map(|(path, _)| path)
}

/// Adds the endpoints, and the answer to unknown paths.
pub(crate) fn add_to(router: Router<Mock>) -> Router<Mock> {
    let router = ENDPOINTS.into_iter().fold(router, |router, (path, methods)| {
        let answer = move |State(mock): State<Mock>, method: Method, headers: HeaderMap| async move {
            missing(&mock, &method, path, &headers)
        };
        router.route(path, on(methods, answer))
    });
    router.fallback(unknown)
}

fn missing(mock: &Mock, method: &Method, path: &str, headers: &HeaderMap) -> GotrueError {
    if let Err(error) = check_caller(mock, path, headers) {
        return error;
    }
    let disabled = feature(path).filter(|feature| mock.settings().disabled.contains(feature));
    disabled.map_or_else(
        || GotrueError::not_implemented(&format!("{method} {path}")),
        Feature::disabled_error,
    )
}

/// The answer of Go's router to an unknown path. GoTrue looks at the credentials first (recorded:
/// `route-unknown-under-admin`).
async fn unknown(State(mock): State<Mock>, uri: Uri, headers: HeaderMap) -> Response {
    match check_caller(&mock, uri.path(), &headers) {
        Ok(()) => not_found().await,
        Err(error) => error.into_response(),
    }
}

/// Looks at the credentials that GoTrue requires under this path.
fn check_caller(mock: &Mock, path: &str, headers: &HeaderMap) -> Result<(), GotrueError> {
    let mut segments = path.split('/').skip(1);
    match segments.next() {
        Some("admin") => require_administrator(mock, headers),
        Some("user" | "factors") => {
            Caller::authenticate(mock, &mock.database(), headers)?;
            if segments.next() == Some("identities") { check_linking(mock) } else { Ok(()) }
        }
        _ => Ok(()),
    }
}

fn feature(path: &str) -> Option<Feature> {
    let starts = |prefix| path.starts_with(prefix);
    if starts("/passkeys") {
        Some(Feature::Passkeys)
    } else if starts("/sso") {
        Some(Feature::Saml)
    } else if starts("/scim") {
        Some(Feature::Scim)
    } else if path.contains("oauth") {
        Some(Feature::OauthServer)
    } else {
        None
    }
}
