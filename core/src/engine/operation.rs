//! What a command and a query are, and the table that names them all.

use super::context::Context;
use super::crm::Crm;
use super::reader::Reader;
use super::work::UnitOfWork;
use crate::kernel::{ErrorCode, Permission, Result};
use futures_util::future::BoxFuture;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::future::Future;

/// Where an operation runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationScope {
    /// Inside a project, through `crm.project(id)`.
    Project,
    /// Outside a project.
    System,
}

/// One use case that changes state. Its fields are the input, its doc comment the documentation.
pub trait Command: Serialize + DeserializeOwned + JsonSchema + Clone + Send + Sync + 'static {
    const NAME: &'static str;
    const PERMISSION: Permission;
    const SCOPE: OperationScope = OperationScope::Project;
    /// The codes it raises beside those that every command can.
    const ERRORS: &'static [ErrorCode] = &[];
    type Output: Serialize + DeserializeOwned + JsonSchema + Send + 'static;

    fn run(self, work: &mut UnitOfWork<'_>) -> impl Future<Output = Result<Self::Output>> + Send;
}

/// One question. It changes nothing.
pub trait Query: Serialize + DeserializeOwned + JsonSchema + Clone + Send + Sync + 'static {
    const NAME: &'static str;
    const PERMISSION: Permission;
    const SCOPE: OperationScope = OperationScope::Project;
    const ERRORS: &'static [ErrorCode] = &[];
    type Output: Serialize + JsonSchema + Send + 'static;

    fn run(self, read: &Reader<'_>) -> impl Future<Output = Result<Self::Output>> + Send;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationKind {
    Command,
    Query,
}

pub(crate) type RunIn = for<'a> fn(&'a mut UnitOfWork<'_>, &'a [u8]) -> BoxFuture<'a, Result<String>>;
type Call = for<'a> fn(&'a Crm, Context, &'a [u8]) -> BoxFuture<'a, Result<String>>;

/// One row of the operation table: an operation that any language can call by name with JSON.
pub struct Operation {
    pub name: &'static str,
    pub kind: OperationKind,
    pub permission: Permission,
    pub scope: OperationScope,
    pub errors: &'static [ErrorCode],
    pub input: fn(&mut SchemaGenerator) -> Schema,
    pub output: fn(&mut SchemaGenerator) -> Schema,
    pub(crate) call: Call,
    /// Commands only: runs inside a unit of work that somebody else commits.
    pub(crate) run_in: Option<RunIn>,
    /// The input as it is compared with an earlier one of the same idempotency key: defaults filled in, without secrets.
    pub(crate) canonical: fn(&[u8]) -> Result<String>,
}

impl Operation {
    pub const fn command<C: Command>() -> Self {
        Operation {
            name: C::NAME,
            kind: OperationKind::Command,
            permission: C::PERMISSION,
            scope: C::SCOPE,
            errors: C::ERRORS,
            input: |generator| C::json_schema(generator),
            output: |generator| generator.subschema_for::<C::Output>(),
            call: |crm, context, input| {
                Box::pin(async move {
                    let command: C = crate::kernel::shape::read(input)?;
                    crm.execute_json(context, command).await
                })
            },
            run_in: Some(|work, input| {
                Box::pin(async move {
                    let command: C = crate::kernel::shape::read(input)?;
                    let output = command.run(work).await?;
                    super::aggregate::encode(&output)
                })
            }),
            canonical: canonical::<C>,
        }
    }

    pub const fn query<Q: Query>() -> Self {
        Operation {
            name: Q::NAME,
            kind: OperationKind::Query,
            permission: Q::PERMISSION,
            scope: Q::SCOPE,
            errors: Q::ERRORS,
            input: |generator| Q::json_schema(generator),
            output: |generator| generator.subschema_for::<Q::Output>(),
            call: |crm, context, input| {
                Box::pin(async move {
                    let query: Q = crate::kernel::shape::read(input)?;
                    let output = crm.ask(context, query).await?;
                    super::aggregate::encode(&output)
                })
            },
            run_in: None,
            canonical: canonical::<Q>,
        }
    }
}

fn canonical<T: Serialize + DeserializeOwned>(input: &[u8]) -> Result<String> {
    super::aggregate::encode(&crate::kernel::input::parse::<T>(input)?)
}

/// The explicit table at the foot of `commands.rs` or `queries.rs`: `operations![commands: CreateContact, AddTag]`.
#[macro_export]
macro_rules! operations {
    (commands: $($command:ty),* $(,)?) => {
        /// The commands of this room.
        pub(crate) const COMMANDS: &[$crate::engine::Operation] = &[$($crate::engine::Operation::command::<$command>(),)*];
    };
    (queries: $($query:ty),* $(,)?) => {
        /// The queries of this room.
        pub(crate) const QUERIES: &[$crate::engine::Operation] = &[$($crate::engine::Operation::query::<$query>(),)*];
    };
}
