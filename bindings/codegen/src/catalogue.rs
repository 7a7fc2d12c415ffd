//! The catalogue as codegen reads it: everything a host can call, hear and catch.

use serde::Deserialize;
use serde_json::{Map, Value};

/// What the library offers, as data.
#[derive(Debug, Clone, Deserialize)]
pub struct Catalogue {
    pub version: String,
    pub operations: Vec<Operation>,
    pub events: Vec<Event>,
    pub errors: Vec<ErrorCode>,
    /// Codes that any call can raise.
    #[serde(default)]
    pub errors_of_every_call: Vec<String>,
    pub aggregates: Vec<Aggregate>,
    /// The JSON schemas that the others refer to.
    pub definitions: Map<String, Value>,
}

/// A command or a query.
#[derive(Debug, Clone, Deserialize)]
pub struct Operation {
    /// `contacts.add_tag`
    pub name: String,
    /// `command` or `query`
    pub kind: String,
    pub permission: Option<String>,
    /// `project` or `system`
    pub scope: String,
    pub doc: String,
    pub input: Value,
    pub output: Value,
    #[serde(default)]
    pub errors: Vec<String>,
    #[serde(default)]
    pub events: Vec<String>,
}

/// A type of event.
#[derive(Debug, Clone, Deserialize)]
pub struct Event {
    #[serde(rename = "type")]
    pub name: String,
    pub aggregate_kind: String,
    pub schema_version: u32,
    pub doc: String,
    pub data: Value,
    #[serde(default)]
    pub subjects: Vec<String>,
}

/// An error code.
#[derive(Debug, Clone, Deserialize)]
pub struct ErrorCode {
    pub code: String,
    pub kind: String,
    pub message: String,
}

/// What can be filtered and sorted in a collection.
#[derive(Debug, Clone, Deserialize)]
pub struct Aggregate {
    pub collection: String,
    #[serde(default)]
    pub filterable: Vec<String>,
    #[serde(default)]
    pub sortable: Vec<String>,
}
