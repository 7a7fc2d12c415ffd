//! Opening a connection: what an address says, and what every session is told first.

use crate::PostgresOptions;
use crate::checks::RowSecurity;
use crate::errors::{Carry, unconnected};
use crate::tls::{Tls, tls};
use std::collections::HashMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Socket, Statement};
use uuid::Uuid;
use ventros::kernel::{Error, ErrorCode, Result};

/// How many statements a connection remembers: all that the adapter writes, with room for filters.
const STATEMENT_CACHE: usize = 512;

/// What carries the messages of a connection.
pub(crate) type Driver = tokio_postgres::Connection<Socket, <Tls as MakeTlsConnect<Socket>>::Stream>;

/// Everything that is known of the server.
pub(crate) struct Settings {
    config: Config,
    tls: Option<Tls>,
    pub root_certificates: Option<PathBuf>,
    pub options: PostgresOptions,
}

impl Settings {
    /// Reads an address. What is not of it but of the store (`schema`, `connections`, `sslrootcert`, `row_security`) is taken
    /// out first.
    ///
    /// # Errors
    /// `input_invalid`, which never repeats the address.
    pub(crate) fn read(address: &str, mut options: PostgresOptions) -> Result<Self> {
        let (plain, parameters) = address.split_once('?').unwrap_or((address, ""));
        let mut kept = Vec::new();
        let mut root_certificates = None;
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            match parameter.split_once('=') {
                Some(("schema", schema)) => options.schema = schema.to_owned(),
                Some(("connections", number)) => {
                    options.connections = number.parse().map_err(|_| invalid("connections is a whole number"))?;
                }
                Some(("sslrootcert", file)) => root_certificates = Some(PathBuf::from(file)),
                Some(("row_security", word)) => {
                    let wanted = RowSecurity::parse(word);
                    options.row_security =
                        wanted.ok_or_else(|| invalid("row_security is one of required, warn and unchecked"))?;
                }
                // Certificates are always checked, and so is the name in them.
                Some(("sslmode", "verify-full" | "verify-ca")) => kept.push("sslmode=require"),
                _ => kept.push(parameter),
            }
        }
        let is_word = |schema: &str| {
            (1..=63).contains(&schema.len())
                && !schema.starts_with("pg_")
                && schema.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        if !is_word(&options.schema) {
            return Err(invalid("the name of a schema has at most 63 small letters, digits and underscores"));
        }
        let mut config = Config::from_str(&format!("{plain}?{}", kept.join("&"))).map_err(|error| {
            // Only this kind of message is sure to repeat nothing of the address but the name of a parameter.
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            let cause = cause.filter(|cause| cause.starts_with("invalid value for option"));
            invalid(&cause.unwrap_or_else(|| "the address of a PostgreSQL database cannot be read".to_owned()))
        })?;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(options.timeout);
        }
        if config.get_application_name().is_none() {
            config.application_name("ventros");
        }
        let mut settings = Settings { config, tls: None, root_certificates, options };
        settings.tls = Some(tls(&settings)?);
        Ok(settings)
    }

    /// A new connection with what drives it.
    pub(crate) async fn connect_raw(&self) -> Result<(Client, Driver)> {
        let tls = self.tls.clone().expect("it is set as soon as the settings are read");
        self.config.connect(tls).await.map_err(unconnected)
    }

    /// A new connection. Only inside the runtime that drives it.
    pub(crate) async fn connect(&self) -> Result<Connection> {
        let (client, driver) = self.connect_raw().await?;
        tokio::spawn(driver);
        // Statements here are short; compiling them costs more than it saves.
        let wait = self.options.timeout.as_millis();
        client.batch_execute(&format!("SET lock_timeout = {wait}; SET jit = off")).await.carry()?;
        Ok(Connection { client, schema: self.prefix(), statements: Mutex::default(), project: Mutex::default() })
    }

    /// Where hints about this store are said and heard.
    pub(crate) fn channel(&self) -> String {
        format!("ventros_{}", self.options.schema)
    }

    /// The text of a statement with the schema in place of its sign.
    pub(crate) fn full(&self, sql: &str) -> String {
        sql.replace('@', &self.prefix())
    }

    /// What the sign `@` stands for in a statement.
    pub(crate) fn prefix(&self) -> String {
        format!("\"{}\".", self.options.schema)
    }
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorCode::InputInvalid).message(message).at("location")
}

/// A connection and the statements that it has prepared.
pub(crate) struct Connection {
    pub client: Client,
    schema: String,
    statements: Mutex<HashMap<String, Statement>>,
    /// The project that the session has been told of.
    project: Mutex<Option<Uuid>>,
}

impl Connection {
    /// The name of the schema.
    pub(crate) fn schema(&self) -> &str {
        self.schema.trim_end_matches('.').trim_matches('"')
    }

    /// The text with the schema in place of its sign.
    pub(crate) fn full(&self, sql: &str) -> String {
        sql.replace('@', &self.schema)
    }

    /// The statement of this text, which is prepared once.
    pub(crate) async fn statement(&self, sql: &str) -> Result<Statement, tokio_postgres::Error> {
        if let Some(known) = self.known().get(sql) {
            return Ok(known.clone());
        }
        let statement = self.client.prepare(&self.full(sql)).await?;
        let mut known = self.known();
        if known.len() >= STATEMENT_CACHE {
            known.clear();
        }
        known.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    /// The project that the session has been told of. It is unknown until it is kept again.
    pub(crate) fn take_project(&self) -> Option<Uuid> {
        self.project.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(crate) fn keep_project(&self, project: Uuid) {
        *self.project.lock().unwrap_or_else(PoisonError::into_inner) = Some(project);
    }

    /// They were prepared for tables as they are no more.
    pub(crate) fn forget_statements(&self) {
        self.known().clear();
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, Statement>> {
        self.statements.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
