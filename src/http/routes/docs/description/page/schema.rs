//! The schemas of bodies, parameters and members.

use maud::{Markup, html};

use super::{code_block, text};
use crate::http::routes::docs::description::model::{Schema, SchemaOrReference, Types};

pub(super) fn article(name: &str, schema: &Schema) -> Markup {
    html! {
        article id={ "body-" (name) } {
            h3 { a href={ "#body-" (name) } { (name) } }
            @if !schema.description.is_empty() { p { (text(&schema.description)) } }
            dl {
                @for (name, property) in &schema.properties {
                    (property_item(name, property, schema.required.contains(name)))
                }
            }
            @if let Some(example) = &schema.example { (code_block(example)) }
        }
    }
}

fn property_item(name: &str, property: &SchemaOrReference, is_required: bool) -> Markup {
    let schema = match property {
        SchemaOrReference::Schema(schema) => Some(schema),
        SchemaOrReference::Reference(_) => None,
    };
    html! {
        div {
            dt { code { (name) } }
            dd {
                p class="quiet" { (types(property)) @if !is_required { ", optional" } }
                @if let Some(Schema { description, example, .. }) = schema {
                    @if !description.is_empty() { p { (text(description)) } }
                    @if let Some(example) = example { p class="quiet" { "Example: " code { (example) } } }
                }
            }
        }
    }
}

/// The types that a value may have, with a link to each named schema. `null` is left out: it stands for an absent
/// value.
pub(super) fn types(schema: &SchemaOrReference) -> Markup {
    match schema {
        SchemaOrReference::Reference(reference) => {
            let name = reference.target.trim_start_matches("#/components/schemas/");
            html! { a href={ "#body-" (name) } { (name) } }
        }
        SchemaOrReference::Schema(Schema { one_of, .. }) if !one_of.is_empty() => {
            html! { @for schema in one_of { (types(schema)) } }
        }
        SchemaOrReference::Schema(Schema { types: Types::One(name), .. }) => {
            html! { @if name != "null" { (name) } }
        }
        SchemaOrReference::Schema(Schema { types: Types::Several(names), .. }) => {
            let names: Vec<&str> =
                names.iter().map(String::as_str).filter(|name| *name != "null").collect();
            html! { (names.join(" or ")) }
        }
    }
}
