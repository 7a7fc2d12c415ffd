//! Where a walk through everything that a log tells of has come: through its events, then through the aggregates whose first events
//! were removed.

use crate::kernel::{Error, ErrorCode, Kind, Result, Subject};
use std::fmt;
use uuid::Uuid;

/// The end of the log.
const REMOVED: &str = "removed";

/// How far a walk has come. As text it is a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::infrastructure) enum Walk {
    /// Behind this event.
    Events(u64),
    /// Behind the events: at the baselines, behind the one of this aggregate.
    Baselines(Option<Subject>),
}

impl Walk {
    /// Reads a cursor; none is the beginning.
    ///
    /// # Errors
    /// `cursor_invalid`.
    pub fn parse(cursor: Option<&str>) -> Result<Self> {
        let Some(text) = cursor else { return Ok(Walk::Events(0)) };
        let walk = match text.split_once('/') {
            None if text == REMOVED => Some(Walk::Baselines(None)),
            None => text.parse().ok().map(Walk::Events),
            Some((kind, id)) => {
                let subject = Kind::parse(kind).zip(Uuid::try_parse(id).ok());
                subject.map(|(kind, id)| Walk::Baselines(Some(Subject::new(kind, id))))
            }
        };
        walk.ok_or_else(|| Error::new(ErrorCode::CursorInvalid))
    }
}

impl fmt::Display for Walk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Walk::Events(seq) => write!(f, "{seq}"),
            Walk::Baselines(None) => f.write_str(REMOVED),
            Walk::Baselines(Some(Subject { kind, id })) => write!(f, "{kind}/{id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back() {
        let subject = Subject::new(Kind::Contact, Uuid::from_u128(7));
        for walk in [Walk::Events(0), Walk::Events(77), Walk::Baselines(None), Walk::Baselines(Some(subject))] {
            assert_eq!(Walk::parse(Some(&walk.to_string())), Ok(walk));
        }
        assert_eq!(Walk::parse(None), Ok(Walk::Events(0)));
        for wrong in ["", "-1", "contact/", "contact/7", "nobody/00000000-0000-0000-0000-000000000007", "gone"] {
            assert_eq!(Walk::parse(Some(wrong)).unwrap_err().code(), ErrorCode::CursorInvalid, "{wrong}");
        }
    }
}
