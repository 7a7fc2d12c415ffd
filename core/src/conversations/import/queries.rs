//! Questions about imports.

use super::course::totals;
use super::{ImportChat, ImportJob};
use crate::engine::{Query, Reader};
use crate::kernel::{ErrorCode, ImportJobId, Permission, Result};
use crate::operations;
use crate::storage::{FieldKind, Filter, Page, PageRequest, id_value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An import with how fast it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ImportDetails {
    #[serde(flatten)]
    pub job: ImportJob,
    /// Messages that were looked at, a second, since all chats were known; null before.
    pub rate: Option<f64>,
}

impl ImportDetails {
    async fn of(read: &Reader<'_>, mut job: ImportJob) -> Result<ImportDetails> {
        if job.status.is_open() {
            job.totals = totals(read, &job, None).await?;
        }
        let until = job.ended_at.unwrap_or(read.now());
        let seconds = job.started_at.map(|started| (until.micros() - started.micros()) as f64 / 1e6);
        let rate = seconds.filter(|seconds| *seconds > 0.0).map(|seconds| job.totals.messages_seen as f64 / seconds);
        Ok(ImportDetails { job, rate })
    }
}

/// An import by its id, with all it has done so far.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetImport {
    pub id: ImportJobId,
}

impl Query for GetImport {
    const NAME: &'static str = "imports.get";
    const PERMISSION: Permission = Permission::ChannelsView;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::ImportJobNotFound];
    type Output = ImportDetails;

    async fn run(self, read: &Reader<'_>) -> Result<ImportDetails> {
        let job = read.get::<ImportJob>(self.id).await?;
        ImportDetails::of(read, job).await
    }
}

/// Imports with all they have done so far. Filter: channel_id, status, created_at. Sort: created_at.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListImports {
    #[serde(flatten)]
    pub page: PageRequest,
}

impl Query for ListImports {
    const NAME: &'static str = "imports.list";
    const PERMISSION: Permission = Permission::ChannelsView;
    type Output = Page<ImportDetails>;

    async fn run(self, read: &Reader<'_>) -> Result<Page<ImportDetails>> {
        let page = read.page::<ImportJob>(&self.page).await?;
        let Page { items, next_cursor, prev_cursor, has_more, total } = page;
        let mut details = Vec::with_capacity(items.len());
        for job in items {
            details.push(ImportDetails::of(read, job).await?);
        }
        Ok(Page { items: details, next_cursor, prev_cursor, has_more, total })
    }
}

/// The chats of an import, with what was found in each. Filter: status, number. Sort: number, created_at; by number unless told.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListImportChats {
    pub id: ImportJobId,
    #[serde(flatten)]
    pub page: PageRequest,
}

impl Query for ListImportChats {
    const NAME: &'static str = "imports.list_chats";
    const PERMISSION: Permission = Permission::ChannelsView;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::ImportJobNotFound];
    type Output = Page<ImportChat>;

    async fn run(self, read: &Reader<'_>) -> Result<Page<ImportChat>> {
        read.get::<ImportJob>(self.id).await?;
        let mut page = self.page;
        if page.sort.is_empty() {
            page.sort = vec![crate::storage::SortKey::Text("number".to_owned())];
        }
        let own = Filter::eq("job_id", FieldKind::Id, id_value(self.id));
        read.page_where::<ImportChat>(&page, own).await
    }
}

operations![queries: GetImport, ListImports, ListImportChats];
