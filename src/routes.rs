//! The routes, by who asks: browsers and apps, proxies, monitors, readers.

pub mod admin;
pub mod csrf;
pub mod docs;
pub mod health;
pub mod logout;
mod status;
pub mod verify;

use std::sync::Arc;

use self::docs::Credentials;
use axum::{
    Router,
    http::{HeaderMap, HeaderName, header},
};
use secrecy::ExposeSecret;
use tokio::time::Instant;
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::{App, X_CSRF_TOKEN, frame::Call},
    csrf::origin::SEC_FETCH_SITE,
    error::Error,
    gotrue::Refusal,
    session::{
        Credential, NoSession, Proof, Session, UnknownKey,
        cookies::RequestCookies,
        introspection::{self, Introspection},
    },
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "logout-gateway",
        // The edition of the contract. The version of the product would help attackers to find old releases.
        version = "2",
        description = "Ends Supabase sessions, completely and truthfully.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    modifiers(&Credentials)
)]
struct Description;

fn browser_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(logout::envelope))
        .routes(routes!(logout::rest))
        .routes(routes!(logout::session_api))
        .routes(routes!(logout::session_api_with_slash))
        .routes(routes!(csrf::csrf))
}

fn verify_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(verify::verify))
}

fn health_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(health::healthz)).routes(routes!(health::readyz))
}

/// What a browser or an app calls.
pub fn browser(app: &Arc<App>) -> Router {
    Router::from(browser_routes()).with_state(app.clone())
}

/// What a proxy asks before it lets a request through; below the path, the proxy's own.
pub fn verify(app: &Arc<App>) -> Router {
    let any = axum::routing::any(verify::verify);
    Router::new()
        .route("/api/auth/verify", any.clone())
        .route("/api/auth/verify/", any.clone())
        .route("/api/auth/verify/{*path}", any)
        .with_state(app.clone())
}

/// What a monitor asks.
pub fn health(app: &Arc<App>) -> Router {
    Router::from(health_routes()).with_state(app.clone())
}

/// What an operator asks.
pub fn operator(app: Arc<App>) -> Router {
    admin::router(app)
}

/// What a person reads.
pub fn documents() -> Router {
    docs::router(&openapi())
}

/// The machine-readable contract, from the handlers themselves.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    OpenApiRouter::with_openapi(Description::openapi())
        .merge(browser_routes())
        .merge(verify_routes())
        .merge(health_routes())
        .into_openapi()
}

/// Headers of which a second one could mean something else to whoever reads the other.
const SINGLE: [HeaderName; 4] =
    [header::AUTHORIZATION, X_CSRF_TOKEN, header::ORIGIN, SEC_FETCH_SITE];

fn refuse_duplicates(headers: &HeaderMap) -> Result<(), Error> {
    let twice = |name| headers.get_all(name).iter().nth(1).is_some();
    if SINGLE.iter().any(twice) { Err(Error::DuplicateHeader) } else { Ok(()) }
}

/// The session that a request's Bearer or cookie shows, whatever its age.
async fn calling(
    app: &App,
    headers: &HeaderMap,
    cookies: &RequestCookies<'_>,
) -> Result<Session, Error> {
    let credential = Credential::of(headers, cookies, &app.config.cookies.name);
    Ok(read_session(app, credential, cookies, UnknownKey::Refetch).await?)
}

/// The session that a credential shows. While GoTrue's word that it lives is cached, it is proven.
async fn read_session(
    app: &App,
    credential: Credential,
    cookies: &RequestCookies<'_>,
    unknown_key: UnknownKey,
) -> Result<Session, NoSession> {
    let now = app.logout.clock.unix_seconds();
    let key = &app.config.cookies.name;
    let mut session = app.verifier.session(credential, cookies, key, now, unknown_key).await?;
    if session.proof == Proof::Unproven && !session.expired {
        let answer = app.introspections.get(session.access_token.expose_secret());
        if answer == Some(Introspection::Live) {
            session.proof = Proof::Proven;
        }
    }
    Ok(session)
}

/// Why GoTrue could not be asked about a token.
enum IntrospectionError {
    /// Unproven sessions take their share of the places in flight already.
    Overloaded,
    /// GoTrue is down, slow or rate-limiting.
    Refused(Refusal),
}

impl From<Refusal> for IntrospectionError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
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

/// What GoTrue says of a session that only it can judge. The call takes a place among the requests in
/// flight; requests that wait for the call of another one take none.
async fn introspect(
    app: &App,
    call: &Call,
    headers: &HeaderMap,
    session: &Session,
) -> Result<Introspection, IntrospectionError> {
    let token = session.access_token.expose_secret();
    if let Some(answer) = app.introspections.get(token) {
        return Ok(answer);
    }
    let deadline = Instant::now() + app.config.upstream_timeout;
    let (user, caller) = (session.claims.sub, call.on_behalf_of(headers));
    let ask = async {
        let place = app.places.take(Proof::Unproven);
        let _place = place.map_err(|_| IntrospectionError::Overloaded)?;
        Ok(introspection::introspect(token, user, &app.logout.gotrue, &caller, deadline).await?)
    };
    // Boxed: the future of a `verify` that needs no call is moved, so it stays small.
    Box::pin(app.introspections.get_or_call(token, deadline, ask)).await
}
