//! The description of the HTTP API, made from the annotations of the handlers, and the files that are made from it.

mod model;
mod page;

use std::{env, fs, path::Path};

use utoipa::{
    Modify, OpenApi as _,
    openapi::{
        OpenApi,
        security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme},
    },
};

use crate::http::routes::{csrf, docs, health, logout, verify};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "logout-gateway",
        // The version of the contract. The version of the gateway would help attackers to find old releases.
        version = "2",
        description = "Ends Supabase sessions, completely and truthfully.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(
        logout::envelope,
        logout::rest,
        logout::session_api,
        logout::session_api_with_slash,
        csrf::csrf,
        verify::verify,
        health::healthz,
        health::readyz,
        docs::openapi,
        docs::page
    ),
    tags(
        (name = "logout", description = "Log out"),
        (name = "verify", description = "Verify sessions, for proxies"),
        (name = "health", description = "Health"),
        (name = "documents", description = "Documents")
    ),
    modifiers(&SecuritySchemes)
)]
struct Description;

struct SecuritySchemes;

impl Modify for SecuritySchemes {
    fn modify(&self, openapi: &mut OpenApi) {
        let components = openapi.components.get_or_insert_default();
        let bearer = Http::builder().scheme(HttpAuthScheme::Bearer).bearer_format("JWT");
        let bearer = bearer.description(Some("The access token of the Supabase session.")).build();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        let cookie = ApiKeyValue::with_description(
            "sb-<project>-auth-token",
            "The session cookie of @supabase/ssr, whole or in chunks. A logout by cookie also needs `X-CSRF-Token`.",
        );
        components.add_security_scheme("cookie", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
        let csrf =
            ApiKeyValue::with_description("X-CSRF-Token", "Equal to the cookie `sb-csrf-token`.");
        components.add_security_scheme("csrf", SecurityScheme::ApiKey(ApiKey::Header(csrf)));
    }
}

/// Compares a file beside `docs.rs` with what the description makes of it, or writes the file.
fn assert_is_current(file: &str, content: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/routes/docs").join(file);
    if env::var_os("UPDATE").is_some() {
        fs::write(&path, content).unwrap();
    } else {
        let served = fs::read_to_string(&path).unwrap();
        assert!(served == content, "run `UPDATE=1 cargo test openapi_json`, and commit {file}");
    }
}

#[test]
fn openapi_json_and_its_page_have_the_annotations_of_every_handler() {
    let description = Description::openapi().to_pretty_json().unwrap();
    assert_is_current("page.html", &page::page(&serde_json::from_str(&description).unwrap()));
    assert_is_current("openapi.json", &(description + "\n"));
}
