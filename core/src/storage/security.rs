//! How well a store guards what it keeps.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

crate::text_enum! {
    /// Where the data lives.
    pub enum StoreKind {
        Memory = "memory",
        Sqlite = "sqlite",
        Postgresql = "postgresql",
    }
}

crate::text_enum! {
    /// Whether the store itself keeps the rows of projects apart.
    pub enum RowSecurityState {
        /// It has no such thing: the library alone keeps them apart.
        Unavailable = "unavailable",
        Effective = "effective",
        /// The role of the connection is a superuser, or has BYPASSRLS.
        RoleExempt = "role_exempt",
        /// Somebody has switched it off on `open_tables`.
        NotForced = "not_forced",
    }
}

/// How well a store guards what it keeps, as it finds itself now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StoreSecurity {
    pub kind: StoreKind,
    /// The role of the connection; null where there are none.
    pub role: Option<String>,
    pub row_security: RowSecurityState,
    /// Tables with rows of projects that it is not forced on.
    pub open_tables: Vec<String>,
    /// Whether other accounts of the machine may read or write the file; null where there is none, or nobody can tell.
    pub open_to_others: Option<bool>,
}

impl StoreSecurity {
    /// Of a store without roles.
    pub fn without_roles(kind: StoreKind, open_to_others: Option<bool>) -> Self {
        let row_security = RowSecurityState::Unavailable;
        StoreSecurity { kind, role: None, row_security, open_tables: Vec::new(), open_to_others }
    }
}
