//! The description as an HTML page.

mod schema;

use std::collections::BTreeMap;

use axum::http::StatusCode;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;

use super::model::{Content, Header, OpenApi, Operation, Parameter, Response, SecurityScheme};

const STYLE: &str = concat!(include_str!("../../../../page.css"), include_str!("../page.css"));
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'%3E\
     %3Crect width='8' height='8' rx='2' fill='%231f5fbf'/%3E%3C/svg%3E";
/// The elements that begin a line of the file, so that a change of the description changes few lines of it.
const BLOCKS: [&str; 11] = [
    "<body>", "<header>", "<nav", "<main>", "<section", "<article", "<h3", "<h4", "<tr>", "<div",
    "<li>",
];

/// An operation with its method and its path.
struct Route<'d> {
    method: String,
    path: &'d str,
    operation: &'d Operation,
}

impl Route<'_> {
    /// The value of the element's attribute `id`.
    fn anchor(&self) -> String {
        format!("{}{}", self.method.to_lowercase(), self.path.replace('/', "-"))
    }
}

pub(super) fn page(description: &OpenApi) -> String {
    let OpenApi { openapi, info, components, tags, .. } = description;
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "HTTP API \u{b7} " (info.title) }
                link rel="icon" href=(ICON);
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    p class="product" { (info.title) }
                    h1 { "HTTP API" }
                    p { (text(&info.description)) }
                    p class="quiet" {
                        "Version " (info.version) " of the contract. For programs: "
                        a href="/openapi.json" { "/openapi.json" } " (OpenAPI " (openapi) ")."
                    }
                }
                main {
                    section aria-labelledby="routes" {
                        h2 id="routes" { "Routes" }
                        (overview(description))
                    }
                    section aria-labelledby="authentication" {
                        h2 id="authentication" { "Authentication" }
                        dl { @for (name, scheme) in &components.security_schemes { (security_scheme(name, scheme)) } }
                    }
                    @for tag in tags {
                        section aria-labelledby=(tag.name) {
                            h2 id=(tag.name) { (text(&tag.description)) }
                            @for route in routes(description, &tag.name) { (article(&route)) }
                        }
                    }
                    section aria-labelledby="bodies" {
                        h2 id="bodies" { "Bodies" }
                        @for (name, schema) in &components.schemas { (schema::article(name, schema)) }
                    }
                }
            }
        }
    };
    BLOCKS.iter().fold(markup.into_string(), |page, tag| page.replace(tag, &format!("\n{tag}")))
        + "\n"
}

/// The routes of the group `tag`.
fn routes<'d>(description: &'d OpenApi, tag: &str) -> Vec<Route<'d>> {
    let paths = description.paths.iter();
    let all = paths.flat_map(|(path, operations)| {
        operations.iter().map(move |(method, operation)| Route {
            method: method.to_uppercase(),
            path,
            operation,
        })
    });
    all.filter(|route| route.operation.tags == [tag]).collect()
}

fn overview(description: &OpenApi) -> Markup {
    html! {
        table {
            thead { tr { th scope="col" { "Route" } th scope="col" { "Purpose" } } }
            tbody {
                @for route in description.tags.iter().flat_map(|tag| routes(description, &tag.name)) {
                    tr {
                        td { a href={ "#" (route.anchor()) } { (method_and_path(&route)) } }
                        td { (text(&route.operation.summary)) }
                    }
                }
            }
        }
    }
}

fn method_and_path(Route { method, path, .. }: &Route<'_>) -> Markup {
    html! { span class={ "method " (method) } { (method) } " " code { (path) } }
}

fn security_scheme(name: &str, scheme: &SecurityScheme) -> Markup {
    let (header, description) = match scheme {
        SecurityScheme::Http { scheme, bearer_format, description } => {
            let (first, rest) = scheme.split_at(1);
            let scheme = first.to_uppercase() + rest;
            (format!("Authorization: {scheme} <{bearer_format}>"), description)
        }
        SecurityScheme::ApiKey { location, name, description } if location == "cookie" => {
            (format!("Cookie: {name}=…"), description)
        }
        SecurityScheme::ApiKey { name, description, .. } => (format!("{name}: …"), description),
    };
    html! {
        div id={ "authentication-" (name) } {
            dt { (name) }
            dd { code { (header) } p { (text(description)) } }
        }
    }
}

fn article(route: &Route<'_>) -> Markup {
    let Operation { summary, description, parameters, request_body, responses, security, .. } =
        route.operation;
    html! {
        article id=(route.anchor()) {
            h3 { a href={ "#" (route.anchor()) } { (method_and_path(route)) } }
            p { (text(summary)) }
            @if !description.is_empty() { p { (text(description)) } }
            p class="quiet" { (ways_to_authenticate(security)) }
            @if !parameters.is_empty() {
                h4 { "Parameters" }
                dl { @for given in parameters { (parameter(given)) } }
            }
            @if let Some(body) = request_body {
                h4 { "Request body" }
                dl {
                    div {
                        dt { @if body.required { "required" } @else { "optional" } }
                        dd { p { (text(&body.description)) } (contents(&body.content)) }
                    }
                }
            }
            h4 { "Responses" }
            dl { @for (status, answer) in responses { (response(status, answer)) } }
        }
    }
}

fn ways_to_authenticate<T>(security: &[BTreeMap<String, T>]) -> Markup {
    html! {
        @if security.is_empty() {
            "Needs no authentication."
        } @else {
            "Authenticate by "
            @for (nth, way) in security.iter().enumerate() {
                @if nth > 0 { ", or by " }
                @for (nth, name) in way.keys().enumerate() {
                    @if nth > 0 { " and " }
                    a href={ "#authentication-" (name) } { (name) }
                }
            }
            "."
        }
    }
}

fn parameter(Parameter { name, location, description, required, schema }: &Parameter) -> Markup {
    html! {
        div {
            dt { code { (name) } }
            dd {
                p class="quiet" {
                    (location) ", " (schema::types(schema)) @if *required { ", required" } @else { ", optional" }
                }
                p { (text(description)) }
            }
        }
    }
}

fn response(status: &str, Response { description, headers, content }: &Response) -> Markup {
    let phrase = status.parse().ok().and_then(|status: StatusCode| status.canonical_reason());
    // `default` has no class, nor has a class of statuses that begins with another letter.
    let class = status.get(..1).filter(|first| first.bytes().all(|digit| digit.is_ascii_digit()));
    html! {
        div {
            dt {
                span class={ "status s" (class.unwrap_or_default()) } {
                    @if status == "default" { "any" } @else { (status) }
                }
                @if let Some(phrase) = phrase { " " span class="quiet" { (phrase) } }
            }
            dd {
                p { (text(description)) }
                @if !headers.is_empty() { ul { @for (name, header) in headers { (header_item(name, header)) } } }
                (contents(content))
            }
        }
    }
}

fn header_item(name: &str, header: &Header) -> Markup {
    html! { li { code { (name) } ": " (text(&header.description)) } }
}

/// The bodies by media type.
fn contents(contents: &BTreeMap<String, Content>) -> Markup {
    html! {
        @for (media_type, Content { schema, example }) in contents {
            p class="quiet" { "Body: " (schema::types(schema)) ", " code { (media_type) } }
            @if let Some(example) = example { (code_block(example)) }
        }
    }
}

fn code_block(example: &Value) -> Markup {
    html! { pre tabindex="0" { code { (format!("{example:#}")) } } }
}

/// A text with the only markup that the annotations use: code between backticks.
fn text(source: &str) -> Markup {
    html! {
        @for (nth, part) in source.split('`').enumerate() {
            @if nth % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}
