//! `GET /`: a page for people, which shows what the mock holds and switches faults on. It loads nothing from elsewhere.

use std::{convert::Infallible, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    http::{
        HeaderValue,
        header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    },
    response::{
        IntoResponse, Sse,
        sse::{Event, KeepAlive},
    },
    routing::get,
};
use futures_util::{Stream, stream};
use serde_json::{Value, json};

use crate::{error_codes, mock::Mock, operation::Operation};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// Each file with its path and media type.
const FILES: [(&str, &str, &str); 3] = [
    ("/", HTML, include_str!("../page/index.html")),
    ("/mock/page/page.css", CSS, include_str!("../page/page.css")),
    ("/mock/page/page.js", JAVASCRIPT, include_str!("../page/page.js")),
];

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The shortest time between two announcements of changes, so that many requests do not keep the page busy.
const PAUSE: Duration = Duration::from_millis(200);

pub(crate) fn router() -> Router<Mock> {
    let files = FILES.into_iter().fold(Router::new(), |router, (path, kind, text)| {
        router.route(path, get(move || async move { file(kind, text) }))
    });
    files.route("/mock/changes", get(changes)).route("/mock/operations", get(operations))
}

fn file(kind: &'static str, text: &'static str) -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(kind)),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, text)
}

/// A stream of server-sent events, one after each change.
async fn changes(
    State(mock): State<Mock>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>> + use<>> {
    let events = stream::unfold(mock.watch_changes(), |mut changes| async {
        changes.changed().await.ok()?;
        tokio::time::sleep(PAUSE).await;
        changes.borrow_and_update();
        Some((Ok(Event::default().data("changed")), changes))
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}

/// The names that a fault can have.
async fn operations() -> Json<Value> {
    let codes: Vec<_> = error_codes::all().collect();
    Json(json!({ "operations": Operation::names(), "codes": codes }))
}
