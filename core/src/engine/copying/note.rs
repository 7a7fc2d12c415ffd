//! What a target remembers of a copy that is under way.

use super::tally::Tally;
use crate::kernel::{Error, ErrorCode, Result};
use crate::storage::{Section, Storage};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const VERSION: u32 = 1;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Note {
    version: u32,
    /// Which installation is copied.
    pub origin: String,
    sections: BTreeMap<String, Progress>,
}

/// How far a section has come.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// Of the rows as they were read.
    pub tally: Tally,
    /// Where the source goes on.
    pub next: Option<String>,
    pub is_done: bool,
}

impl Note {
    pub(super) fn begin(origin: String) -> Self {
        Note { version: VERSION, origin, sections: BTreeMap::new() }
    }

    /// # Errors
    /// `schema_too_new` when a newer program began the copy, `corrupt_data`.
    pub(super) fn read(text: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let unread = |error: serde_json::Error| Error::corrupt(format!("the note of a copy cannot be read: {error}"));
        let Versioned { version } = serde_json::from_str(text).map_err(unread)?;
        if version > VERSION {
            return Err(Error::new(ErrorCode::SchemaTooNew).with("found", version).with("known", VERSION));
        }
        serde_json::from_str(text).map_err(unread)
    }

    pub(super) fn write(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|error| Error::internal(format!("a note does not serialise: {error}")))
    }

    pub(super) fn of(&self, section: Section) -> Progress {
        self.sections.get(section.name()).cloned().unwrap_or_default()
    }

    pub(super) fn set(&mut self, section: Section, progress: Progress) {
        self.sections.insert(section.name().to_owned(), progress);
    }

    pub(super) fn forget(&mut self, section: Section) {
        self.sections.remove(section.name());
    }
}

/// Names an installation: by the first event of its log, whose id is nobody else's.
pub(super) async fn origin(store: &dyn Storage) -> Result<String> {
    let mut tally = Tally::default();
    for row in store.rows(Section::Events, None, 1).await?.rows {
        tally.add(&row)?;
    }
    Ok(Tally::seal([("origin", &tally)]))
}
