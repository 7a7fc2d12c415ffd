//! A line that is connected for the first time gets its history, where its configuration asks for it.

use super::commands::RequestImport;
use crate::channels::channel::{Channel, ImportStrategy};
use crate::channels::channel_type::queries::by_code;
use crate::channels::gateway::history;
use crate::engine::{Command, Event, Reaction, UnitOfWork};
use crate::kernel::{ChannelId, Component, ErrorCode, Result};
use crate::storage::EventRecord;

/// The reactions of history imports.
pub const REACTIONS: &[Reaction] = &[Reaction {
    name: "ventros.history_import",
    events: &["channel.activated"],
    component: Component::Channel,
    run: |work, record, _event: &Event| Box::pin(import_once(work, record)),
}];

/// Requests what `import_strategy` of the configuration names, unless an import was ever asked for. A channel that was switched off
/// again meanwhile, or whose history nobody here can fetch, is left alone.
async fn import_once(work: &mut UnitOfWork<'_>, record: &EventRecord) -> Result<()> {
    let channel_id = ChannelId::from_uuid(record.aggregate_id);
    let Some(channel) = work.reader().find_shared::<Channel>(channel_id).await? else { return Ok(()) };
    let strategy = match channel.config.get("import_strategy").and_then(|word| word.as_str()) {
        Some("new_only") => ImportStrategy::Recent,
        Some("all") => ImportStrategy::Full,
        _ => return Ok(()),
    };
    let is_first = channel.history_import.is_none() && channel.last_import_date.is_none();
    if !is_first || !channel.history_import_enabled {
        return Ok(());
    }
    let channel_type = by_code(work.reader(), &channel.channel_type).await?;
    if history(&channel_type.gateway).is_none() {
        return Ok(());
    }
    let request = RequestImport {
        channel_id,
        strategy,
        time_range_days: None,
        limit_per_chat: None,
        session_timeout_minutes: None,
        include_groups: None,
        enrichment: false,
    };
    match request.run(work).await {
        Err(error) if matches!(error.code(), ErrorCode::ChannelNotFound | ErrorCode::ChannelNotActive) => Ok(()),
        requested => requested.map(drop),
    }
}
