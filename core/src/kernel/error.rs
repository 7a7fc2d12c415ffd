//! The one error type of the product: a kind that drives handling, a stable code, the field at fault and the particulars.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;

pub use super::error_code::ErrorCode;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure it is; callers branch on this before they look at the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// Input malformed or out of range; `errors` lists every field at fault.
    Validation,
    /// Absent, deleted or in another project: indistinguishable on purpose.
    NotFound,
    /// A version or a unique key is taken.
    Conflict,
    /// The state machine does not allow it now.
    InvalidState,
    /// The actor lacks the right.
    Forbidden,
    /// A plan limit, the size of a collection, or a rate.
    LimitExceeded,
    /// Nobody proved who is calling.
    Unauthenticated,
    /// Store or network; a later try may succeed.
    Unavailable,
    /// A provider answered with an error.
    External,
    /// It took too long or was cancelled.
    Timeout,
    /// A defect of Ventros; please report it.
    Internal,
    /// A stored row cannot be read; it is never guessed.
    CorruptData,
}

impl ErrorKind {
    pub const ALL: &'static [ErrorKind] = &[
        ErrorKind::Validation,
        ErrorKind::NotFound,
        ErrorKind::Conflict,
        ErrorKind::InvalidState,
        ErrorKind::Forbidden,
        ErrorKind::LimitExceeded,
        ErrorKind::Unauthenticated,
        ErrorKind::Unavailable,
        ErrorKind::External,
        ErrorKind::Timeout,
        ErrorKind::Internal,
        ErrorKind::CorruptData,
    ];

    /// The wire form, for example `not_found`.
    pub const fn as_str(self) -> &'static str {
        match self {
            ErrorKind::Validation => "validation",
            ErrorKind::NotFound => "not_found",
            ErrorKind::Conflict => "conflict",
            ErrorKind::InvalidState => "invalid_state",
            ErrorKind::Forbidden => "forbidden",
            ErrorKind::LimitExceeded => "limit_exceeded",
            ErrorKind::Unauthenticated => "unauthenticated",
            ErrorKind::Unavailable => "unavailable",
            ErrorKind::External => "external",
            ErrorKind::Timeout => "timeout",
            ErrorKind::Internal => "internal",
            ErrorKind::CorruptData => "corrupt_data",
        }
    }
}

/// A failure, cheap to move: one pointer.
#[derive(Clone, PartialEq)]
pub struct Error(Box<Body>);

#[derive(Clone, PartialEq)]
struct Body {
    code: ErrorCode,
    field: Option<String>,
    message: Option<String>,
    details: Map<String, Value>,
    /// The other failures of the same call; this one is the first.
    others: Vec<Error>,
}

impl Error {
    pub fn new(code: ErrorCode) -> Self {
        Error(Box::new(Body { code, field: None, message: None, details: Map::new(), others: Vec::new() }))
    }

    /// Replaces the code's own sentence by a more particular one. Never put personal data or secrets in it.
    #[must_use]
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.0.message = Some(message.into());
        self
    }

    /// Names the field at fault; a field that is set already stays, prefixed: `at("address")` over `city` gives `address.city`.
    #[must_use]
    pub fn at(mut self, field: impl Into<String>) -> Self {
        let outer = shortened(field.into());
        let others = std::mem::take(&mut self.0.others);
        self.0.others = others.into_iter().map(|error| error.at(outer.clone())).collect();
        self.0.field = Some(match self.0.field.take() {
            Some(inner) if inner.starts_with('[') => format!("{outer}{inner}"),
            Some(inner) => format!("{outer}.{inner}"),
            None => outer,
        });
        self
    }

    /// Names the field only if none is named yet.
    #[must_use]
    pub fn at_least(mut self, field: &str) -> Self {
        self.0.field.get_or_insert_with(|| field.to_owned());
        self
    }

    /// Adds one particular, such as `allowed`, `max` or `id`.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        let value = match value.into() {
            Value::String(text) => Value::String(shortened(text)),
            value => value,
        };
        self.0.details.insert(name.to_owned(), value);
        self
    }

    pub fn code(&self) -> ErrorCode {
        self.0.code
    }

    pub fn kind(&self) -> ErrorKind {
        self.0.code.kind()
    }

    pub fn field(&self) -> Option<&str> {
        self.0.field.as_deref()
    }

    pub fn details(&self) -> &Map<String, Value> {
        &self.0.details
    }

    pub fn text(&self) -> &str {
        self.0.message.as_deref().unwrap_or_else(|| self.0.code.message())
    }

    /// All failures of the call, this one first.
    pub fn all(&self) -> impl Iterator<Item = &Error> {
        std::iter::once(self).chain(self.0.others.iter())
    }

    /// All failures of the call, each on its own.
    pub(crate) fn apart(mut self) -> impl Iterator<Item = Error> {
        let others = std::mem::take(&mut self.0.others);
        std::iter::once(self).chain(others)
    }

    /// A defect: an invariant of Ventros itself does not hold.
    pub fn internal(message: impl Into<String>) -> Self {
        Error::new(ErrorCode::Internal).message(message)
    }

    pub fn corrupt(message: impl Into<String>) -> Self {
        Error::new(ErrorCode::CorruptData).message(message)
    }

    pub fn unavailable(message: impl Into<String>) -> Self {
        Error::new(ErrorCode::Unavailable).message(message)
    }
}

/// What callers wrote comes back in errors, but not at any length: errors are kept in logs.
fn shortened(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(MAX_QUOTED) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// The most characters of a field's path or of a particular.
const MAX_QUOTED: usize = 250;
/// The most failures that one call tells.
const MAX_FAILURES: usize = 20;

/// Gathers the failures of several fields, so that a form shows all of them at once: the first 20.
#[derive(Debug, Default)]
pub struct Errors(Vec<Error>);

impl Errors {
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps the value, or remembers the failure under `field`.
    pub fn take<T>(&mut self, field: &str, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.push(error.at_least(field));
                None
            }
        }
    }

    pub fn push(&mut self, error: Error) {
        if self.0.len() < MAX_FAILURES {
            self.0.push(error);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Fails with all that was gathered, the first one leading.
    pub fn check(self) -> Result<()> {
        let mut errors = self.0.into_iter();
        match errors.next() {
            None => Ok(()),
            Some(mut first) => {
                first.0.others.extend(errors);
                Err(first)
            }
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.code.as_str())?;
        if let Some(field) = &self.0.field {
            write!(f, " ({field})")?;
        }
        write!(f, ": {}", self.text())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)?;
        if !self.0.details.is_empty() {
            write!(f, " {}", Value::Object(self.0.details.clone()))?;
        }
        for other in &self.0.others {
            write!(f, "; {other:?}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

impl From<ErrorCode> for Error {
    fn from(code: ErrorCode) -> Self {
        Error::new(code)
    }
}

/// The wire form: `{kind, code, message, field?, details, errors}`.
impl Serialize for Error {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut s = serializer.serialize_struct("Error", 6)?;
        s.serialize_field("kind", self.kind().as_str())?;
        s.serialize_field("code", self.0.code.as_str())?;
        s.serialize_field("message", self.text())?;
        s.serialize_field("field", &self.0.field)?;
        s.serialize_field("details", &self.0.details)?;
        s.serialize_field("errors", &self.0.others)?;
        s.end()
    }
}
