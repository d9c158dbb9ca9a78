//! Every path and every layer of the public and the admin listeners.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, Method, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{any, get, post},
};
use tower::{Service, ServiceBuilder, ServiceExt as _};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer, Vary};

use super::{
    error::Error,
    headers::{X_LOGOUT_COOKIES_LEFT, X_LOGOUT_OUTCOME, X_REQUEST_ID},
    middleware::{self, admin_guard},
    routes::{admin, csrf, docs, health, logout, status, verify},
    state::AppState,
};
use crate::csrf::origin::SEC_FETCH_SITE;

/// The response headers that pages of allowed origins may read, besides those that every page may read.
const EXPOSED_HEADERS: [HeaderName; 4] =
    [X_LOGOUT_OUTCOME, X_LOGOUT_COOKIES_LEFT, X_REQUEST_ID, header::RETRY_AFTER];

const BELOW_VERIFY: &str = "/api/auth/verify/{*path}";

/// The routes of one listener, within the standard layer. That layer is around the router and not one of the router's
/// layers: axum boxes each of those for each route, and clones it for each request.
#[derive(Clone, Debug)]
pub struct Routes {
    router: Router,
    app: Arc<AppState>,
    /// Whether browsers, apps and proxies call these routes, so that their requests have trace spans.
    is_public: bool,
}

impl Service<Request> for Routes {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let Self { router, app, is_public } = self.clone();
        let route = if is_public { route_of_clients(request.uri().path()) } else { None };
        Box::pin(async move { Ok(middleware::standard(&app, router, route, request).await) })
    }
}

/// The routes of the public listeners. `pages` are served beside the gateway's own routes.
#[must_use]
pub fn public(app: Arc<AppState>, pages: Router) -> Routes {
    let browser = browser_routes().with_state(app.clone());
    let browser = with_cors(browser, &app.config.csrf.allowed_origins);
    let verify = Router::new()
        .route("/api/auth/verify", any(verify::verify))
        // Envoy appends the path of the request that it wants authorized.
        .route("/api/auth/verify/", any(verify::verify))
        .route(BELOW_VERIFY, any(verify::verify))
        .with_state(app.clone());
    let documents = docs::router(); // /openapi.json and /docs
    let routes = browser
        // No CORS here: a preflight that a proxy wants authorized belongs to the application behind the proxy. If
        // verify answered that preflight, the proxy would let it through unchecked.
        .merge(verify)
        .merge(documents)
        .merge(health_routes().with_state(app.clone()))
        .merge(pages);
    Routes { router: with_fallbacks(routes), app, is_public: true }
}

/// The routes of the admin listener.
#[must_use]
pub fn admin(app: Arc<AppState>) -> Routes {
    let routes = Router::new()
        .route("/", get(status::status))
        .route("/metrics", get(admin::metrics))
        .route("/metrics/", get(admin::metrics))
        .route("/queue", get(admin::queue))
        .route("/queue/", get(admin::queue))
        .route("/failures", get(admin::failures))
        .route("/failures/", get(admin::failures))
        .merge(health_routes())
        .with_state(app.clone());
    // The guard is around the fallbacks too: a refused page must not learn which paths exist.
    let guard = from_fn_with_state(app.clone(), admin_guard::guard);
    Routes { router: with_fallbacks(routes).layer(guard), app, is_public: false }
}

/// The routes that browsers and apps call. A slash may follow each path, as some frameworks request it.
fn browser_routes() -> Router<Arc<AppState>> {
    Router::new()
        .route("/api/auth/logout", post(logout::envelope))
        .route("/api/auth/logout/", post(logout::envelope))
        .route("/api/v1/auth/logout", post(logout::rest))
        .route("/api/v1/auth/logout/", post(logout::rest))
        .route("/logout", post(logout::session_api))
        .route("/logout/", post(logout::session_api))
        .route("/api/auth/csrf", get(csrf::csrf))
        .route("/api/auth/csrf/", get(csrf::csrf))
}

/// The route that serves a path for browsers, apps and proxies, as its trace span names it. `None` for health checks,
/// documents and paths that do not exist, which have no span.
#[must_use]
pub fn route_of_clients(path: &str) -> Option<&'static str> {
    let others = ["/api/auth/csrf", "/api/auth/csrf/", "/api/auth/verify", "/api/auth/verify/"];
    let exact = others.into_iter().chain(logout::PATHS).find(|route| *route == path);
    exact.or_else(|| path.starts_with("/api/auth/verify/").then_some(BELOW_VERIFY))
}

/// The routes that monitors call, on both listeners.
fn health_routes() -> Router<Arc<AppState>> {
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/healthz/", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/readyz/", get(health::readyz))
}

fn with_fallbacks(routes: Router) -> Router {
    routes.fallback(not_found).method_not_allowed_fallback(method_not_allowed)
}

/// Allows pages of `GATEWAY_ALLOWED_ORIGINS` to call the routes and to read the responses (CORS). Without an
/// origin there is no CORS.
fn with_cors(routes: Router, origins: &[String]) -> Router {
    if origins.is_empty() {
        return routes;
    }
    // Set the fallback before the CORS layer, so that the layer covers it: no route has the method of a
    // preflight, OPTIONS.
    let routes = routes.method_not_allowed_fallback(method_not_allowed);
    let origins: Arc<[_]> = origins.iter().filter_map(|origin| origin.parse().ok()).collect();
    let cors = cors(&origins);
    let bypass = from_fn_with_state((origins, routes.clone()), only_allowed_preflights);
    routes.layer(ServiceBuilder::new().layer(bypass).layer(cors))
}

/// Passes the preflights of allowed origins on to the CORS layer, which would answer every OPTIONS request as a
/// preflight and allow all headers that it asks for. Any other OPTIONS request goes to the routes, which answer
/// 405. If it comes from an allowed origin, its response gets the headers of CORS here.
async fn only_allowed_preflights(
    State((origins, routes)): State<(Arc<[HeaderValue]>, Router)>,
    request: Request,
    next: Next,
) -> Response {
    let origin = request.headers().get(header::ORIGIN).filter(|origin| origins.contains(origin));
    let is_preflight =
        origin.is_some() && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if request.method() != Method::OPTIONS || is_preflight {
        return next.run(request).await;
    }
    let origin = origin.cloned();
    let mut response = routes.oneshot(request).await.into_response();
    if let Some(origin) = origin {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        let exposed = EXPOSED_HEADERS.each_ref().map(HeaderName::as_str).join(",");
        headers.extend(
            HeaderValue::try_from(exposed).map(|v| (header::ACCESS_CONTROL_EXPOSE_HEADERS, v)),
        );
    }
    response
}

fn cors(origins: &[HeaderValue]) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins.to_vec()))
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::POST])
        // Allow every header that a preflight names, because tools such as Sentry add headers to every request.
        // Only preflights of allowed origins get here.
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(EXPOSED_HEADERS)
        .vary(Vary::list([header::ORIGIN, SEC_FETCH_SITE]))
}

async fn not_found() -> Error {
    Error::NotFound
}

async fn method_not_allowed() -> Error {
    Error::MethodNotAllowed
}
