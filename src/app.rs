//! All routes and all layers on one screen.

mod admin_guard;
pub mod frame;
pub mod peer;

use std::sync::Arc;

use axum::{
    Router,
    extract::Request,
    http::{HeaderName, Method, header},
    middleware,
    response::{IntoResponse, Response},
};
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceBuilder;
use tower_http::{
    catch_panic::CatchPanicLayer,
    cors::{AllowOrigin, CorsLayer, Vary},
};

use crate::{
    config::Config,
    csrf::{Csrf, origin::SEC_FETCH_SITE},
    error::Error,
    failures::FailureLog,
    logout::Logout,
    places::Places,
    readiness::Readiness,
    routes::{self, verify::revoked_lines::RevokedLines},
    session::{introspection::IntrospectionCache, jwks::Jwks, verifier::Verifier},
    telemetry::metrics::Metrics,
};

/// What the handlers of one thread work with; all but the last two parts are shared by all threads.
#[derive(Clone, Debug)]
pub struct App {
    /// The configuration.
    pub config: Arc<Config>,
    /// Mints and judges CSRF tokens.
    pub csrf: Arc<Csrf>,
    /// The project's keys.
    pub jwks: Arc<Jwks>,
    /// Judges access tokens.
    pub verifier: Arc<Verifier>,
    /// GoTrue's answers about tokens that no key here can judge.
    pub introspections: Arc<IntrospectionCache>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// When the gateway started.
    pub begun: Instant,
    /// Knows which part is missing.
    pub readiness: Arc<Readiness>,
    /// Limits the log lines about revoked sessions.
    pub revoked_lines: Arc<RevokedLines>,
    /// Takes the logouts that did not end the session.
    pub failures: FailureLog,
    /// Cancelled when the gateway begins to stop.
    pub stopping: CancellationToken,
    /// `GATEWAY_MAX_CONNECTIONS`, over all public listeners.
    pub connections: Arc<Semaphore>,
    /// `GATEWAY_MAX_IN_FLIGHT`. Health and documents take none: they answer under overload too.
    pub places: Places,
    /// The use case, with this thread's own connections to GoTrue.
    pub logout: Logout,
    /// Logouts under way on this thread, to be awaited before it ends.
    pub logouts: TaskTracker,
}

/// The public listener's router; `pages` are served beside the gateway's own routes.
pub fn public(app: Arc<App>, pages: Router) -> Router {
    let routes = with_cors(routes::browser(&app), &app.config.allowed_origins)
        // No CORS here: a preflight that a proxy asks about is the application's own, and a
        // forward-auth that answered it would let it pass unjudged.
        .merge(routes::verify(&app))
        .merge(routes::documents())
        .merge(routes::health(&app))
        .merge(pages);
    framed(with_fallbacks(routes), app)
}

/// The admin listener's router.
pub fn admin(app: Arc<App>) -> Router {
    let routes = routes::health(&app).merge(routes::operator(app.clone()));
    // Around the fallbacks too: a refused page must not learn which paths exist.
    let guard = middleware::from_fn_with_state(app.clone(), admin_guard::guard);
    framed(with_fallbacks(routes).layer(guard), app)
}

fn with_fallbacks(routes: Router) -> Router {
    routes.fallback(not_found).method_not_allowed_fallback(method_not_allowed)
}

/// What every response of every listener goes through.
fn framed(routes: Router, app: Arc<App>) -> Router {
    routes.layer(
        ServiceBuilder::new()
            // Outermost: request id and security headers stand on every response, a panic's included.
            .layer(middleware::from_fn_with_state(app, frame::frame))
            // A bug in a handler is this client's 500, not the connection's end.
            .layer(CatchPanicLayer::custom(panicked)),
    )
}

/// Lets pages of the allowed origins ask and read the answer; without any, CORS stays out.
fn with_cors(routes: Router, origins: &[String]) -> Router {
    if origins.is_empty() {
        return routes;
    }
    // The fallback must be there before the layer: a preflight is a method that no route takes.
    routes.method_not_allowed_fallback(method_not_allowed).layer(
        ServiceBuilder::new().layer(middleware::map_request(only_preflights)).layer(cors(origins)),
    )
}

/// The CORS layer takes every OPTIONS for a preflight: one that is none goes on as a method that no
/// route takes, to its 405.
async fn only_preflights(mut request: Request) -> Request {
    let preflight = request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if request.method() == Method::OPTIONS && !preflight {
        *request.method_mut() = Method::TRACE;
    }
    request
}

fn cors(origins: &[String]) -> CorsLayer {
    let origins = origins.iter().filter_map(|o| o.parse().ok());
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, X_CSRF_TOKEN])
        .expose_headers([
            X_LOGOUT_OUTCOME,
            X_LOGOUT_COOKIES_LEFT,
            X_REQUEST_ID,
            header::RETRY_AFTER,
        ])
        .vary(Vary::list([header::ORIGIN, SEC_FETCH_SITE]))
}

/// The caller's request id, or one made here.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The double-submit token.
pub const X_CSRF_TOKEN: HeaderName = HeaderName::from_static("x-csrf-token");
/// What became of the session.
pub const X_LOGOUT_OUTCOME: HeaderName = HeaderName::from_static("x-logout-outcome");
/// How many cookies the next call has to delete.
pub const X_LOGOUT_COOKIES_LEFT: HeaderName = HeaderName::from_static("x-logout-cookies-left");

async fn not_found() -> Error {
    Error::NotFound
}

async fn method_not_allowed() -> Error {
    Error::MethodNotAllowed
}

fn panicked(_: Box<dyn std::any::Any + Send + 'static>) -> Response {
    Error::Internal.into_response()
}
