//! Channels go off with their project. They are not deleted: a project can come back.

use super::{Channel, ChannelStatus};
use crate::engine::{Event, Reaction, UnitOfWork};
use crate::kernel::{ChannelId, Component, Kind, Result};
use crate::storage::{FieldKind, Filter, Find};

/// The most channels of a project are 200; one read and one commit hold them with room to spare.
const LIMIT: usize = 1_000;

/// The reactions of channels.
pub const REACTIONS: &[Reaction] = &[Reaction {
    name: "ventros.channels_of_deleted_projects",
    events: &["project.deleted"],
    component: Component::Channel,
    run: |work, _record, _event: &Event| Box::pin(switch_off(work)),
}];

async fn switch_off(work: &mut UnitOfWork<'_>) -> Result<()> {
    let on = Filter::Not(Box::new(Filter::eq("status", FieldKind::Enum, ChannelStatus::Inactive.as_str())));
    let find = Find {
        filter: on,
        sort: Vec::new(),
        after: None,
        backward: false,
        limit: LIMIT,
        include_hidden: false,
        with_total: false,
    };
    let found = work.reader().storage().find(work.reader().scope_of(Kind::Channel), Kind::Channel, &find).await?;
    for row in found.rows {
        let mut channel = work.load::<Channel>(ChannelId::from_uuid(row.snapshot.id)).await?;
        if channel.status != ChannelStatus::Inactive {
            channel.deactivate(Some("project deleted"), false)?;
        }
        work.save(channel)?;
    }
    Ok(())
}
