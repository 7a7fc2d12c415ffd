//! What people ask for on behalf of whom the data is about.

use super::redaction::{self, Request};
use crate::contacts::contact::Contact;
use crate::engine::{Command, UnitOfWork};
use crate::kernel::text::text;
use crate::kernel::{ErrorCode, JobId, Kind, Permission, ProjectId, Result, Subject, UserId};
use crate::storage::Scope;
use crate::tenancy::user::User;
use crate::{operations, text_enum};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

const MAX_REASON: usize = 500;

text_enum! {
    /// Whom personal data can be about.
    pub enum PersonKind {
        Contact = "contact",
        User = "user",
        Agent = "agent",
    }
}

impl PersonKind {
    pub(super) fn kind(self) -> Kind {
        match self {
            PersonKind::Contact => Kind::Contact,
            PersonKind::User => Kind::User,
            PersonKind::Agent => Kind::Agent,
        }
    }
}

/// Takes personal data out of everything that the project stores about a person: events, states, the timeline, the inbox, jobs, stored
/// answers. Ids, types, times, numbers and amounts stay, so that folds and statistics hold. It is done by a job, which ends with
/// `event_log.redacted`; doing it again is harmless.
///
/// A contact stays what it is, without its data; `contacts.erase` also ends it. Of a user only what is in the log of this project goes.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RedactPersonalData {
    pub kind: PersonKind,
    pub id: Uuid,
    /// Without personal data: it is kept. At most 500 characters.
    pub reason: String,
}

/// A redaction that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RedactionStarted {
    pub kind: PersonKind,
    pub id: Uuid,
    /// The job that works at it; others of the same kind follow it.
    pub job_id: JobId,
}

impl Command for RedactPersonalData {
    const NAME: &'static str = "privacy.redact";
    const PERMISSION: Permission = Permission::PrivacyManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::RedactionInProgress,
        ErrorCode::ContactNotFound,
        ErrorCode::UserNotFound,
        ErrorCode::AgentNotFound,
        ErrorCode::TextTooLong,
        ErrorCode::TextRequired,
        ErrorCode::EnumUnknown,
    ];
    type Output = RedactionStarted;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<RedactionStarted> {
        let reason = text(&self.reason, MAX_REASON).map_err(|error| error.at("reason"))?;
        if reason.trim().is_empty() {
            return Err(crate::kernel::Error::new(ErrorCode::TextRequired).at("reason"));
        }
        let subject = Subject::new(self.kind.kind(), self.id);
        find_person(work, self.kind, self.id).await?;
        let request = Request { subject, project: Some(work.project()), reason, requested_by: work.actor().clone() };
        let job_id = redaction::start(work, request).await?;
        Ok(RedactionStarted { kind: self.kind, id: self.id, job_id })
    }
}

/// Somebody that the project knows, in whatever state.
pub(super) async fn find_person(work: &UnitOfWork<'_>, kind: PersonKind, id: Uuid) -> Result<()> {
    let read = work.reader();
    let unknown = |code: ErrorCode| crate::kernel::Error::new(code).with("id", id.to_string());
    match kind {
        PersonKind::Contact => match read.find_any::<Contact>(id.into()).await? {
            Some(_) => Ok(()),
            None => Err(unknown(ErrorCode::ContactNotFound)),
        },
        PersonKind::User => {
            // Whoever the project never dealt with is unknown to it.
            let is_known = is_in_log(work, Subject::new(Kind::User, id), work.project()).await?
                || (work.project().is_system() && read.find_any::<User>(UserId::from_uuid(id)).await?.is_some());
            if is_known { Ok(()) } else { Err(unknown(ErrorCode::UserNotFound)) }
        }
        PersonKind::Agent => match is_in_log(work, Subject::new(Kind::Agent, id), work.project()).await? {
            true => Ok(()),
            false => Err(unknown(ErrorCode::AgentNotFound)),
        },
    }
}

async fn is_in_log(work: &UnitOfWork<'_>, subject: Subject, project: ProjectId) -> Result<bool> {
    let query =
        crate::storage::EventQuery { subject: Some(subject), limit: 1, ..crate::storage::EventQuery::default() };
    Ok(!work.reader().storage().events(Scope::Project(project), &query).await?.is_empty())
}

operations![commands: RedactPersonalData];
