//! The kinds of sagas that this process knows. They are code: nothing of them is stored.

use super::definition::SagaDefinition;
use crate::engine::Crm;
use crate::kernel::{Error, ErrorCode, Result};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Definitions by kind and version.
#[derive(Debug)]
pub struct Sagas(RwLock<BTreeMap<(String, u16), Arc<SagaDefinition>>>);

impl Default for Sagas {
    /// Those of the library's own.
    fn default() -> Self {
        let shipped = [crate::tenancy::project::purge::definition()];
        let known = shipped.into_iter().map(|definition| {
            let name = (definition.kind.clone(), definition.version);
            (name, Arc::new(definition))
        });
        Sagas(RwLock::new(known.collect()))
    }
}

/// What this process knows of one version of a kind.
pub(super) enum Known {
    Here(Arc<SagaDefinition>),
    /// There are later versions, so it was taken out.
    Removed,
    /// A program that knows it may come.
    Unheard,
}

impl Sagas {
    pub(super) fn find(&self, kind: &str, version: u16) -> Known {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(definition) = known.get(&(kind.to_owned(), version)) {
            return Known::Here(definition.clone());
        }
        let later = (kind.to_owned(), version)..=(kind.to_owned(), u16::MAX);
        if known.range(later).next().is_some() { Known::Removed } else { Known::Unheard }
    }

    /// The highest version of a kind.
    pub(super) fn newest(&self, kind: &str) -> Option<Arc<SagaDefinition>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let all = (kind.to_owned(), 0)..=(kind.to_owned(), u16::MAX);
        known.range(all).next_back().map(|(_, definition)| definition.clone())
    }

    fn add(&self, definition: SagaDefinition) -> Result<()> {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let name = (definition.kind.clone(), definition.version);
        let told = |definition: &SagaDefinition| serde_json::to_value(definition).ok();
        match known.get(&name) {
            Some(before) if told(before) != told(&definition) => {
                let why = "this version is defined already, in another way: sagas under way rely on it, so give the new one the \
                           next number";
                Err(Error::new(ErrorCode::InputInvalid).at("version").message(why))
            }
            _ => {
                known.insert(name, Arc::new(definition));
                Ok(())
            }
        }
    }
}

impl Crm {
    /// Makes a kind of saga known to this process: from now on `sagas.start` takes it here, and whoever runs the background work of
    /// this process carries its sagas on. Every process that works on them defines the same; sagas of a kind that a process does not
    /// know wait for one that does (it is looked for after 5 seconds, then ever more rarely, every 5 minutes at last), those of a version that was taken out fail with `saga_migration_missing`.
    ///
    /// # Errors
    /// `job_kind_unknown`, `operation_unknown`, `input_invalid`, `limit_out_of_range`, `batch_too_large` and `field_required`, with
    /// the path of the field.
    pub fn define_saga(&self, definition: SagaDefinition) -> Result<()> {
        definition.check()?;
        self.core.sagas.add(definition)
    }

    /// As [`define_saga`](Self::define_saga), from its JSON form.
    ///
    /// # Errors
    /// Those, and what does not fit the form.
    pub fn define_saga_json(&self, definition: &[u8]) -> Result<()> {
        self.define_saga(crate::kernel::input::parse(definition)?)
    }
}
