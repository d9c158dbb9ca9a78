//! Mocks of their own behind one address, so that test workers that run at the same time do not see each other's users.
//!
//! 1. The path `/mock/worlds/<name>/…` is the path `/…` in the world of this name. A test gives supabase-js the URL
//!    `http://127.0.0.1:9999/mock/worlds/<name>`.
//! 2. The world is a part of the path and not a header, because a browser that follows the link of a mail or comes back
//!    from an identity provider sends no header of the test's, and a key set is fetched from the URL of the issuer.
//! 3. A world begins with the first request to it, as the mock began. It ends by `DELETE /mock/worlds/<name>`.

use std::{collections::BTreeMap, sync::Mutex};

use axum::{
    Json, Router,
    http::{Method, StatusCode, Uri, header::ALLOW, uri::PathAndQuery},
    response::{IntoResponse, Redirect, Response},
};
use serde_json::json;

use crate::{
    lock::lock,
    mock::{Mock, StartError},
    router::router,
    settings::Settings,
};

/// The most worlds at a time.
const MAX_WORLDS: usize = 1000;

/// The longest name of a world, in bytes.
const MAX_NAME_LENGTH: usize = 64;

const PATH: &str = "/mock/worlds";

/// One mock, and the router that answers its requests.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) mock: Mock,
    pub(crate) router: Router,
}

impl World {
    fn new(mock: Mock) -> Self {
        Self { router: router(mock.clone()), mock }
    }
}

/// The mock of the address, and its worlds by their names.
pub(crate) struct Worlds {
    main: World,
    named: Mutex<BTreeMap<String, World>>,
}

/// Why there is no world for a request.
#[derive(Debug, thiserror::Error)]
enum WorldError {
    #[error("the name of a world has 1 to {MAX_NAME_LENGTH} letters, digits, `-`, `_` and `.`")]
    Name,
    #[error("there are {MAX_WORLDS} worlds; DELETE {PATH}/<name> ends one")]
    TooMany,
    #[error(transparent)]
    Start(#[from] StartError),
}

impl IntoResponse for WorldError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Name => StatusCode::BAD_REQUEST,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::Start(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, Json(json!({ "message": self.to_string() }))).into_response()
    }
}

/// Where a request goes.
pub(crate) enum Destination {
    /// To this world, with the path in it.
    World(World, Uri),
    /// Nowhere: this is the response of `/mock/worlds` itself: the list, the end of a world, or a refusal.
    Answered(Response),
}

impl Worlds {
    pub(crate) fn new(mock: Mock) -> Self {
        Self { main: World::new(mock), named: Mutex::default() }
    }

    /// The settings of every world.
    pub(crate) fn settings(&self) -> &Settings {
        self.main.mock.settings()
    }

    /// Finds the world of a request.
    pub(crate) fn destination(&self, method: &Method, uri: &Uri) -> Destination {
        let Some(rest) = uri.path().strip_prefix(PATH) else {
            return Destination::World(self.main.clone(), uri.clone());
        };
        let Some(rest) = rest.strip_prefix('/') else {
            return match rest {
                "" => Destination::Answered(self.list(method)),
                _ => Destination::World(self.main.clone(), uri.clone()),
            };
        };
        let Some((name, _)) = rest.split_once('/') else {
            return Destination::Answered(self.respond_about(method, rest));
        };
        match self.world(name) {
            Ok(world) => Destination::World(world, path_in_world(uri, name)),
            Err(error) => Destination::Answered(error.into_response()),
        }
    }

    /// The world of this name, which begins now if there is none.
    fn world(&self, name: &str) -> Result<World, WorldError> {
        let mut named = lock(&self.named);
        if let Some(world) = named.get(name) {
            return Ok(world.clone());
        }
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if name.is_empty() || name.len() > MAX_NAME_LENGTH || !name.bytes().all(is_allowed) {
            return Err(WorldError::Name);
        }
        if named.len() == MAX_WORLDS {
            return Err(WorldError::TooMany);
        }
        let url = format!("{}{PATH}/{name}", self.main.mock.url());
        let world = World::new(self.main.mock.new_world(name, url)?);
        named.insert(name.to_owned(), world.clone());
        Ok(world)
    }

    /// `GET /mock/worlds`: the names of the worlds.
    fn list(&self, method: &Method) -> Response {
        if method != Method::GET {
            return method_not_allowed("GET");
        }
        Json(lock(&self.named).keys().cloned().collect::<Vec<_>>()).into_response()
    }

    /// `GET /mock/worlds/<name>` leads to the page of the world, and `DELETE` ends the world.
    fn respond_about(&self, method: &Method, name: &str) -> Response {
        match *method {
            Method::GET => Redirect::permanent(&format!("{PATH}/{name}/")).into_response(),
            Method::DELETE => self.end(name),
            _ => method_not_allowed("DELETE, GET"),
        }
    }

    fn end(&self, name: &str) -> Response {
        if lock(&self.named).remove(name).is_some() {
            return StatusCode::NO_CONTENT.into_response();
        }
        let message = json!({ "message": "no such world" });
        (StatusCode::NOT_FOUND, Json(message)).into_response()
    }
}

fn method_not_allowed(allowed: &'static str) -> Response {
    (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, allowed)]).into_response()
}

/// The path and the query of a request as the world sees them.
fn path_in_world(uri: &Uri, name: &str) -> Uri {
    let whole = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let path = whole.get(PATH.len() + 1 + name.len()..).unwrap_or("/");
    // A part of a valid path that begins with a slash is valid, too.
    path.parse().unwrap_or_default()
}
