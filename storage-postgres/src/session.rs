//! Transactions in as few round trips as can be: what does not depend on an answer is sent together, the beginning with the first
//! statements and the end with the last ones.
//!
//! Every transaction names whose rows it is about; row security holds it to that. A read of one statement is a transaction without a
//! beginning and an end, in a session that has been told whose rows it is about. No session is ever told that it is the system's own.

use crate::connection::Settings;
use crate::errors::{Carry, is_conflict, postgres};
use crate::pool::{Loan, Pool};
use crate::values::Sql;
use futures_util::future::{BoxFuture, join};
use std::borrow::Cow;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error as PostgresError, Row, Statement, Transaction as Host};
use uuid::Uuid;
use ventros::kernel::Result;
use ventros::storage::Scope;

/// How often a statement is tried that the server sends back because of others, or that met a lost connection.
const TRIES: usize = 5;

/// A statement with its values. The sign `@` stands for the schema.
pub(crate) struct Call {
    pub sql: Cow<'static, str>,
    pub values: Vec<Sql>,
}

impl Call {
    pub(crate) fn new(sql: &'static str, values: Vec<Sql>) -> Self {
        Call { sql: Cow::Borrowed(sql), values }
    }

    fn bound(&self) -> Vec<&(dyn ToSql + Sync)> {
        self.values.iter().map(|value| &**value as &(dyn ToSql + Sync)).collect()
    }
}

/// Whose rows a transaction is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// One project's, or one actor's.
    Only(Uuid),
    /// Everybody's: for the engine itself.
    System,
}

impl Reach {
    /// Says it, for the rest of a transaction.
    fn say(self) -> String {
        match self {
            Reach::Only(id) => format!("SET LOCAL ventros.project_id = '{id}'"),
            Reach::System => "SET LOCAL ventros.system = 'on'".to_owned(),
        }
    }
}

impl From<Scope> for Reach {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Project(project) => Reach::Only(project.uuid()),
            Scope::Installation => Reach::System,
        }
    }
}

/// What a transaction may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Reads one state of the data, however many statements there are.
    Read,
    Write,
}

/// The rows of each statement, or why it failed.
pub(crate) type Answers = Vec<Result<Vec<Row>, PostgresError>>;

impl Pool {
    /// Runs statements that may be run twice in a transaction of their own: the rows of each.
    pub(crate) async fn together(
        self: &Arc<Self>,
        reach: Reach,
        access: Access,
        calls: &[Call],
    ) -> Result<Vec<Vec<Row>>> {
        let mut tries = TRIES;
        loop {
            let answers = match (access, reach, calls) {
                (Access::Read, Reach::Only(project), [call]) => vec![self.lend().await?.read(project, call).await],
                _ => Transaction::new(self, reach, access).await?.finish(calls).await,
            };
            match all(answers) {
                Ok(rows) => return Ok(rows),
                Err(error) if tries > 1 && is_worth_another_try(&error) => tries -= 1,
                Err(error) => return Err(postgres(error)),
            }
        }
    }
}

impl Loan {
    /// The rows of one statement that reads, which is a transaction by itself: for that the session is told whose rows it is about,
    /// unless it knows.
    async fn read(self, project: Uuid, call: &Call) -> Result<Vec<Row>, PostgresError> {
        #[cfg(test)]
        crate::plans::note(Reach::Only(project), std::slice::from_ref(call));
        let statement = self.statement(&call.sql).await?;
        let values = call.bound();
        let answer = if self.take_project() == Some(project) {
            self.client.query(&statement, &values).await
        } else {
            let told = format!("SET ventros.project_id = '{project}'");
            let tell = async { self.client.batch_execute(&told).await.map(|()| Vec::new()) };
            let answers = in_order(vec![boxed(tell), boxed(self.client.query(&statement, &values))]).await;
            all(answers).map(|mut rows| rows.pop().unwrap_or_default())
        };
        match &answer {
            // Nobody else had the session meanwhile. After a failure, or when the caller has gone, it is told again.
            Ok(_) => self.keep_project(project),
            Err(error) if is_outdated(error) => self.forget_statements(),
            Err(_) => {}
        }
        answer
    }
}

/// A transaction. Dropping it undoes what was not committed.
pub(crate) struct Transaction {
    loan: Loan,
    /// Sent with the first statements.
    begin: Option<String>,
    #[cfg(test)]
    reach: Reach,
}

impl Transaction {
    pub(crate) async fn new(pool: &Arc<Pool>, reach: Reach, access: Access) -> Result<Self> {
        let loan = pool.lend().await?;
        let mode = match access {
            Access::Read => "ISOLATION LEVEL REPEATABLE READ READ ONLY",
            Access::Write => "ISOLATION LEVEL READ COMMITTED READ WRITE",
        };
        Ok(Transaction {
            loan,
            begin: Some(format!("BEGIN {mode}; {}", reach.say())),
            #[cfg(test)]
            reach,
        })
    }

    /// Runs statements in their order, in one round trip.
    pub(crate) async fn run(&mut self, calls: &[Call]) -> Answers {
        self.send(calls, false).await
    }

    /// As [`run`](Self::run), for the last ones: the transaction ends with them, and if one fails nothing is left of any.
    pub(crate) async fn finish(mut self, calls: &[Call]) -> Answers {
        let answers = self.send(calls, true).await;
        if answers.iter().any(Result::is_err) {
            self.undo().await;
        }
        answers
    }

    /// Makes it last.
    pub(crate) async fn commit(mut self) -> Result<()> {
        let ended = self.loan.client.batch_execute("COMMIT").await;
        self.loan.is_busy = ended.is_err();
        ended.carry()
    }

    /// Leaves nothing of it. What cannot be undone on a broken connection is undone by the server.
    pub(crate) async fn undo(mut self) {
        if self.loan.is_busy && self.loan.client.batch_execute("ROLLBACK").await.is_ok() {
            self.loan.is_busy = false;
        }
        if self.loan.is_busy {
            self.loan.abandon();
        }
    }

    async fn send(&mut self, calls: &[Call], is_last: bool) -> Answers {
        #[cfg(test)]
        crate::plans::note(self.reach, calls);
        let mut statements = Vec::with_capacity(calls.len());
        let prepared = calls.iter().map(|call| boxed(self.loan.statement(&call.sql))).collect();
        for statement in in_order(prepared).await {
            match statement {
                Ok(statement) => statements.push(statement),
                Err(error) => return vec![Err(error)],
            }
        }
        let values: Vec<Vec<&(dyn ToSql + Sync)>> = calls.iter().map(Call::bound).collect();
        self.loan.is_busy = true;
        let begin = self.begin.take();
        let has_begin = begin.is_some();
        let client = &self.loan.client;
        let plain = |sql: String| boxed(async move { client.batch_execute(&sql).await.map(|()| Vec::new()) });
        let mut waiting: Vec<BoxFuture<'_, Result<Vec<Row>, PostgresError>>> = begin.map(plain).into_iter().collect();
        for (statement, values) in statements.iter().zip(&values) {
            waiting.push(boxed(client.query(statement, values)));
        }
        if is_last {
            waiting.push(plain("COMMIT".to_owned()));
        }
        let mut answers = in_order(waiting).await;
        if answers.iter().any(|answer| answer.as_ref().is_err_and(is_outdated)) {
            self.loan.forget_statements();
        }
        let ended = if is_last { answers.pop() } else { None };
        let begun = if has_begin { Some(answers.remove(0)) } else { None };
        // Without a beginning nothing that follows means anything.
        if let Some(Err(error)) = begun {
            return vec![Err(error)];
        }
        if let Some(ended) = ended {
            self.loan.is_busy = ended.is_err();
            if ended.is_err() && answers.iter().all(Result::is_ok) {
                answers.push(ended);
            }
        }
        answers
    }
}

/// Runs statements in somebody else's transaction, in two round trips: they are prepared, and whose rows they are about is said; then
/// they are run. What they did can be undone back to where they began.
pub(crate) async fn run_within(transaction: &Host<'_>, settings: &Settings, reach: Reach, calls: &[Call]) -> Answers {
    #[cfg(test)]
    crate::plans::note(reach, calls);
    let texts: Vec<String> = calls.iter().map(|call| settings.full(&call.sql)).collect();
    let begin = format!("SAVEPOINT ventros; {}", reach.say());
    let prepared = texts.iter().map(|text| boxed(transaction.prepare(text))).collect();
    let (begun, statements) = join(transaction.batch_execute(&begin), in_order(prepared)).await;
    let statements: Result<Vec<Statement>, PostgresError> = statements.into_iter().collect();
    let statements = match begun.and(statements) {
        Ok(statements) => statements,
        Err(error) => return vec![Err(error)],
    };
    let values: Vec<Vec<&(dyn ToSql + Sync)>> = calls.iter().map(Call::bound).collect();
    let sent = statements.iter().zip(&values).map(|(statement, values)| boxed(transaction.query(statement, values)));
    in_order(sent.collect()).await
}

/// True when the same may be tried again at once: nothing of it was done, for a reason that has gone.
pub(crate) fn is_worth_another_try(error: &PostgresError) -> bool {
    is_conflict(error) || is_outdated(error) || error.is_closed()
}

/// The statement was prepared before somebody changed its table.
fn is_outdated(error: &PostgresError) -> bool {
    error.code() == Some(&SqlState::FEATURE_NOT_SUPPORTED)
}

/// The rows of all statements, or the first failure.
pub(crate) fn all(answers: Answers) -> Result<Vec<Vec<Row>>, PostgresError> {
    answers.into_iter().collect()
}

fn boxed<'f, T>(future: impl Future<Output = T> + Send + 'f) -> BoxFuture<'f, T> {
    Box::pin(future)
}

/// Runs futures side by side, the first step of each in their order: that step sends the statement.
async fn in_order<T>(mut waiting: Vec<BoxFuture<'_, T>>) -> Vec<T> {
    let mut done: Vec<Option<T>> = waiting.iter().map(|_| None).collect();
    poll_fn(|context| {
        let mut is_done = true;
        for (slot, future) in done.iter_mut().zip(&mut waiting) {
            if slot.is_none() {
                match future.as_mut().poll(context) {
                    Poll::Ready(output) => *slot = Some(output),
                    Poll::Pending => is_done = false,
                }
            }
        }
        if is_done { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}
