//! What came of a session: resolved, converted, summarised.

use super::{MAX_NOTE, optional};
use crate::conversations::session::{SUMMARY_MIN_MESSAGES, Sentiment, Session, SessionEvent, SessionSummary};
use crate::engine::{Command, UnitOfWork};
use crate::kernel::text::{JSON_MAX_BYTES, JSON_MAX_DEPTH, json_limits, name, required_text, text};
use crate::kernel::{Error, ErrorCode, Errors, Money, Permission, Result, SessionId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The most characters of a summary.
const MAX_SUMMARY: usize = 10_000;
/// The most topics, and the most next steps.
const MAX_POINTS: usize = 50;
/// The most characters of a topic or a next step.
const MAX_POINT: usize = 200;

/// Marks an ended session as settled. Repeating it changes nothing; an active one is resolved by `sessions.end`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResolveSession {
    pub id: SessionId,
}

impl Command for ResolveSession {
    const NAME: &'static str = "sessions.resolve";
    const PERMISSION: Permission = Permission::SessionsManage;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::SessionNotFound, ErrorCode::SessionActive];
    type Output = Session;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Session> {
        let mut session = work.load::<Session>(self.id).await?;
        session.resolve()?;
        work.save(session)
    }
}

/// Takes the mark of a settled session back. Repeating it changes nothing.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnresolveSession {
    pub id: SessionId,
}

impl Command for UnresolveSession {
    const NAME: &'static str = "sessions.unresolve";
    const PERMISSION: Permission = Permission::SessionsManage;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::SessionNotFound, ErrorCode::SessionActive];
    type Output = Session;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Session> {
        let mut session = work.load::<Session>(self.id).await?;
        session.unresolve()?;
        work.save(session)
    }
}

/// Notes that something came of a session: a sale, a booking. A second time replaces the first.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MarkConverted {
    pub id: SessionId,
    #[serde(default)]
    pub value: Option<Money>,
    /// At most 2 000 characters.
    #[serde(default)]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub note: Option<String>,
}

impl Command for MarkConverted {
    const NAME: &'static str = "sessions.mark_converted";
    const PERMISSION: Permission = Permission::SessionsManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::SessionNotFound,
        ErrorCode::MoneyNegative,
        ErrorCode::MoneyOverflow,
        ErrorCode::CurrencyInvalid,
        ErrorCode::TextTooLong,
    ];
    type Output = Session;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Session> {
        let note = optional("note", self.note, MAX_NOTE)?;
        let mut session = work.load::<Session>(self.id).await?;
        session.convert(self.value, note);
        work.save(session)
    }
}

/// Asks the host's AI to summarise an ended session of at least 3 messages. The answer comes by `sessions.set_summary`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestSummary {
    pub id: SessionId,
}

impl Command for RequestSummary {
    const NAME: &'static str = "sessions.request_summary";
    const PERMISSION: Permission = Permission::SessionsManage;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::SessionNotFound, ErrorCode::SummaryNotApplicable];
    type Output = Session;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Session> {
        let mut session = work.load::<Session>(self.id).await?;
        if session.is_active() || session.metrics.message_count < SUMMARY_MIN_MESSAGES {
            let error = Error::new(ErrorCode::SummaryNotApplicable).with("status", session.status.as_str());
            return Err(error
                .with("message_count", session.metrics.message_count)
                .with("min_messages", SUMMARY_MIN_MESSAGES));
        }
        session.ask_for_summary();
        work.save(session)
    }
}

/// Stores what an AI or a person made of a session; a later one replaces it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetSummary {
    pub id: SessionId,
    /// 1 to 10 000 characters.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub summary: String,
    pub sentiment: Sentiment,
    /// 0 to 1.
    #[serde(default)]
    pub sentiment_score: Option<f64>,
    /// At most 50, each of 1 to 200 characters.
    #[serde(default)]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub topics: Vec<String>,
    /// At most 50, each of 1 to 200 characters.
    #[serde(default)]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub next_steps: Vec<String>,
    /// At most 16 KiB.
    #[serde(default)]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub key_entities: Map<String, Value>,
    #[serde(default)]
    pub provider: Option<String>,
    #[serde(default)]
    pub model: Option<String>,
}

impl Command for SetSummary {
    const NAME: &'static str = "sessions.set_summary";
    const PERMISSION: Permission = Permission::SessionsManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::SessionNotFound,
        ErrorCode::SentimentScoreOutOfRange,
        ErrorCode::TextRequired,
        ErrorCode::TextTooLong,
        ErrorCode::NameRequired,
        ErrorCode::NameTooLong,
        ErrorCode::InputInvalid,
        ErrorCode::JsonTooLarge,
        ErrorCode::JsonTooDeep,
    ];
    type Output = Session;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Session> {
        let mut errors = Errors::new();
        let summary = errors.take("summary", required_text(&self.summary, MAX_SUMMARY));
        errors.take("sentiment_score", check_score(self.sentiment_score));
        let topics = errors.take("topics", points(&self.topics));
        let next_steps = errors.take("next_steps", points(&self.next_steps));
        let entities = Value::Object(self.key_entities.clone());
        errors.take("key_entities", json_limits(&entities, JSON_MAX_BYTES, JSON_MAX_DEPTH));
        let mut code = |field, given: Option<String>| {
            given.and_then(|code| errors.take(field, text(&code, 100))).filter(|code| !code.is_empty())
        };
        let (provider, model) = (code("provider", self.provider), code("model", self.model));
        errors.check()?;
        let mut session = work.load::<Session>(self.id).await?;
        let stored = SessionSummary {
            chat_id: session.chat_id,
            contact_id: session.contact_id,
            summary: summary.unwrap_or_default(),
            sentiment: self.sentiment,
            sentiment_score: self.sentiment_score,
            topics: topics.unwrap_or_default(),
            next_steps: next_steps.unwrap_or_default(),
            key_entities: self.key_entities,
            provider,
            model,
            at: session.now(),
        };
        session.record(SessionEvent::Summarized(Box::new(stored)));
        work.save(session)
    }
}

fn check_score(score: Option<f64>) -> Result<()> {
    match score {
        Some(score) if !(0.0..=1.0).contains(&score) => {
            Err(Error::new(ErrorCode::SentimentScoreOutOfRange).with("min", 0).with("max", 1))
        }
        _ => Ok(()),
    }
}

fn points(given: &[String]) -> Result<Vec<String>> {
    if given.len() > MAX_POINTS {
        let error = Error::new(ErrorCode::InputInvalid).message("the list is too long");
        return Err(error.with("max", MAX_POINTS).with("current", given.len()));
    }
    let check = |(number, point): (usize, &String)| name(point, 1, MAX_POINT).map_err(|e| e.at(format!("[{number}]")));
    given.iter().enumerate().map(check).collect()
}
