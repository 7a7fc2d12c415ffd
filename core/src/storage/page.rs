//! Placeholder until the real one lands with the adapters: the signatures are what the engine uses.

use super::{Column, Filter, Find, Found, Snapshot};
use crate::kernel::{Error, Result, Timestamp};

pub struct Fields;

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct FilterExpression;

impl FilterExpression {
    pub fn check(&self, _fields: &Fields, _now: Timestamp) -> Result<Filter> {
        Err(Error::internal("filters are not here yet"))
    }
}

#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct PageRequest {}

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
}

impl Fields {
    pub fn new(_columns: &'static [Column], _sets: &'static [&'static str], _custom: Option<&'static str>) -> Fields {
        Fields
    }
}

impl PageRequest {
    pub fn find(&self, _fields: &Fields, _now: Timestamp) -> Result<Find> {
        Err(Error::internal("pages are not here yet"))
    }

    pub fn page<T>(&self, _find: &Find, _found: Found, _read: impl Fn(&Snapshot) -> Result<T>) -> Result<Page<T>> {
        Err(Error::internal("pages are not here yet"))
    }
}
