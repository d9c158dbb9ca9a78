//! The parts of an OpenAPI description that the page shows. A part that these types do not know is an error, so that
//! the page leaves out nothing that an annotation says.

use std::collections::BTreeMap;

use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OpenApi {
    pub(super) openapi: String,
    pub(super) info: Info,
    /// The operations by path and by method, which is in lower case.
    pub(super) paths: BTreeMap<String, BTreeMap<String, Operation>>,
    pub(super) components: Components,
    pub(super) tags: Vec<Tag>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Info {
    pub(super) title: String,
    pub(super) description: String,
    pub(super) version: String,
    #[serde(rename = "license")]
    _license: IgnoredAny,
}

/// A group of operations.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tag {
    pub(super) name: String,
    pub(super) description: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Operation {
    pub(super) tags: Vec<String>,
    pub(super) summary: String,
    #[serde(default)]
    pub(super) description: String,
    #[serde(rename = "operationId")]
    _operation_id: IgnoredAny,
    #[serde(default)]
    pub(super) parameters: Vec<Parameter>,
    pub(super) request_body: Option<RequestBody>,
    /// By status: `200`, `4XX` or `default`.
    pub(super) responses: BTreeMap<String, Response>,
    /// Each member is one way to authenticate: all schemes that it names together.
    #[serde(default)]
    pub(super) security: Vec<BTreeMap<String, Vec<String>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameter {
    pub(super) name: String,
    /// `query`, `header`, `cookie` or `path`.
    #[serde(rename = "in")]
    pub(super) location: String,
    pub(super) description: String,
    pub(super) required: bool,
    pub(super) schema: SchemaOrReference,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RequestBody {
    pub(super) description: String,
    #[serde(default)]
    pub(super) required: bool,
    pub(super) content: BTreeMap<String, Content>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Response {
    pub(super) description: String,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, Header>,
    /// The bodies by media type.
    #[serde(default)]
    pub(super) content: BTreeMap<String, Content>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    pub(super) description: String,
    #[serde(rename = "schema")]
    _schema: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Content {
    pub(super) schema: SchemaOrReference,
    pub(super) example: Option<Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum SchemaOrReference {
    Reference(Reference),
    Schema(Schema),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reference {
    #[serde(rename = "$ref")]
    pub(super) target: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Schema {
    #[serde(default, rename = "type")]
    pub(super) types: Types,
    #[serde(default)]
    pub(super) description: String,
    #[serde(default)]
    pub(super) required: Vec<String>,
    #[serde(default)]
    pub(super) properties: BTreeMap<String, SchemaOrReference>,
    #[serde(default)]
    pub(super) one_of: Vec<SchemaOrReference>,
    pub(super) example: Option<Value>,
}

/// The types that a value may have.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Types {
    One(String),
    Several(Vec<String>),
}

impl Default for Types {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Components {
    pub(super) schemas: BTreeMap<String, Schema>,
    pub(super) security_schemes: BTreeMap<String, SecurityScheme>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", tag = "type")]
pub(super) enum SecurityScheme {
    #[serde(rename_all = "camelCase")]
    Http { scheme: String, bearer_format: String, description: String },
    ApiKey {
        /// `cookie` or `header`.
        #[serde(rename = "in")]
        location: String,
        name: String,
        description: String,
    },
}
