//! States that nearly every call reads and few calls change, kept decoded between calls.

use super::aggregate::{Aggregate, decode};
use crate::kernel::{Kind, Result};
use crate::storage::Snapshot;
use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;

/// When there are more, all are forgotten: the next calls read what they need again.
const MAX: usize = 1_000;

#[derive(Default)]
pub(crate) struct Memo(Mutex<BTreeMap<(Kind, Uuid), Kept>>);

struct Kept {
    text: String,
    state: Arc<dyn Any + Send + Sync>,
}

impl Memo {
    /// Decodes a snapshot, or gives what the very same text gave before: the store decides, here is nothing to invalidate.
    pub(crate) fn decode<A: Aggregate>(&self, snapshot: Snapshot) -> Result<Arc<A>> {
        if !A::OFTEN_READ {
            return decode(&snapshot).map(Arc::new);
        }
        let key = (A::KIND, snapshot.id);
        if let Some(kept) = self.kept().get(&key).filter(|kept| kept.text == snapshot.state)
            && let Ok(state) = kept.state.clone().downcast::<A>()
        {
            return Ok(state);
        }
        let state: Arc<A> = Arc::new(decode(&snapshot)?);
        let mut kept = self.kept();
        if kept.len() >= MAX {
            kept.clear();
        }
        kept.insert(key, Kept { text: snapshot.state, state: state.clone() });
        Ok(state)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, BTreeMap<(Kind, Uuid), Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
