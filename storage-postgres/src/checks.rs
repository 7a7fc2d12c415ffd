//! What a server must be like, looked at by every opening: it is new enough, nothing between it and us takes sessions apart, and its
//! row security holds the role that we are.

use crate::connection::Connection;
use crate::errors::Carry;
use crate::layout::FIXED;
use std::sync::Once;
use tokio_postgres::SimpleQueryMessage;
use ventros::kernel::{Error, ErrorCode, Kind, Result};
use ventros::storage::{RowSecurityState, StoreKind, StoreSecurity};

/// What older servers lack: identity columns that are inherited right, `hashtextextended`, and the plans of row security.
const OLDEST_SERVER: u32 = 130_000;
/// Tables without rows of projects.
pub(crate) const OF_NOBODY: &[&str] = &["aggregate_tables", "copies", "migrations"];

/// What becomes of an opening by a role that row security does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RowSecurity {
    /// It is refused: `rls_not_effective`.
    Required,
    /// One line on the error output of the program says so, once.
    #[default]
    Warn,
    /// Nobody asks.
    Unchecked,
}

impl RowSecurity {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "required" => Some(RowSecurity::Required),
            "warn" => Some(RowSecurity::Warn),
            "unchecked" => Some(RowSecurity::Unchecked),
            _ => None,
        }
    }
}

/// Refuses servers on which the laws of the store would not hold.
pub(crate) async fn server(connection: &Connection) -> Result<()> {
    let select = "SELECT current_setting('server_version_num')::int8, current_setting('server_encoding')";
    let row = connection.client.query_one(select, &[]).await.carry()?;
    let (version, encoding): (i64, String) = (row.try_get(0).carry()?, row.try_get(1).carry()?);
    if version < i64::from(OLDEST_SERVER) {
        return Err(Error::unavailable("PostgreSQL 13 or newer is needed").with("found", version / 10_000));
    }
    if encoding != "UTF8" {
        return Err(Error::unavailable("the database must be encoded in UTF8").with("found", encoding));
    }
    Ok(())
}

/// Refuses poolers that lend a connection of the server for one transaction only: prepared statements, settings and hints belong
/// to a session. Two connections of ours have two processes of the server, each the same one all the time; behind such a pooler an
/// open transaction of the second takes the process of the first.
pub(crate) async fn sessions(own: &Connection, other: &Connection) -> Result<()> {
    let first = process(own).await?;
    other.client.batch_execute("BEGIN").await.carry()?;
    let outcome = compare(own, other, &first).await;
    other.client.batch_execute("ROLLBACK").await.carry()?;
    outcome
}

async fn compare(own: &Connection, other: &Connection, first: &str) -> Result<()> {
    // Asking the first one again could wait for the only process that there is.
    if process(other).await? == first || process(own).await? != first {
        let advice = "a pooler gives every transaction another connection of the server: let it pool sessions (PgBouncer: \
            pool_mode = session), or use the server's own address";
        return Err(Error::unavailable(advice).with("reason", "pooled"));
    }
    Ok(())
}

/// The process of the server that answers.
async fn process(connection: &Connection) -> Result<String> {
    // A prepared statement would be of the session already.
    let answer = connection.client.simple_query("SELECT pg_backend_pid()").await.carry()?;
    let row = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    row.ok_or_else(|| Error::unavailable("the server does not say who answers"))
}

/// Looks whether row security holds the role of the connection, in every table with rows of projects.
pub(crate) async fn security(connection: &Connection) -> Result<StoreSecurity> {
    let select = "SELECT r.rolname::text, r.rolsuper OR r.rolbypassrls,
            ARRAY(SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname = $1 AND c.relkind = 'r' AND c.relname = ANY($2)
                 AND NOT (c.relrowsecurity AND c.relforcerowsecurity) ORDER BY 1)
        FROM pg_roles r WHERE r.rolname = current_user";
    let fixed = FIXED.iter().filter(|name| !OF_NOBODY.contains(name)).copied();
    let tables: Vec<&str> = fixed.chain(Kind::ALL.iter().map(|kind| kind.plural())).collect();
    let row = connection.client.query_one(select, &[&connection.schema(), &tables]).await.carry()?;
    let (role, is_exempt, open_tables): (String, bool, Vec<String>) =
        (row.try_get(0).carry()?, row.try_get(1).carry()?, row.try_get(2).carry()?);
    let row_security = match (is_exempt, open_tables.is_empty()) {
        (true, _) => RowSecurityState::RoleExempt,
        (false, false) => RowSecurityState::NotForced,
        (false, true) => RowSecurityState::Effective,
    };
    let kind = StoreKind::Postgresql;
    Ok(StoreSecurity { kind, role: Some(role), row_security, open_tables, open_to_others: None })
}

/// Judges it for an opening.
///
/// # Errors
/// `rls_not_effective`, where it is required.
pub(crate) async fn row_security(connection: &Connection, wanted: RowSecurity) -> Result<()> {
    if wanted == RowSecurity::Unchecked {
        return Ok(());
    }
    let security = security(connection).await?;
    let role = security.role.unwrap_or_default();
    let found = match security.row_security {
        RowSecurityState::Unavailable | RowSecurityState::Effective => return Ok(()),
        RowSecurityState::RoleExempt => format!(
            "row security does not hold the role {role}: use one that is no superuser and has no BYPASSRLS, or accept it with \
             row_security=unchecked in the address"
        ),
        RowSecurityState::NotForced => {
            let tables = security.open_tables.join(", ");
            format!("row security is not forced on {tables}: somebody has switched it off")
        }
    };
    if wanted == RowSecurity::Required {
        return Err(Error::new(ErrorCode::RlsNotEffective).message(found).with("role", role));
    }
    static TOLD: Once = Once::new();
    TOLD.call_once(|| eprintln!("ventros: {found}"));
    Ok(())
}
