//! What a session counts after one of its messages starts or stops to count: recomputed from all of its messages, and
//! carried by the message's own event.

use super::{DeliveryReport, Message, MessageStatus, Metrics, status_of};
use crate::channels::gateway::AckSignal;
use crate::conversations::session::{Counted, Session};
use crate::engine::{Root, UnitOfWork};
use crate::kernel::{Kind, MessageId, Result, SessionId};
use crate::storage::{FieldKind, Filter, Find, Sort, id_value};
use std::collections::BTreeMap;

/// How many messages of a session are read at a time.
const PAGE: usize = 500;

/// Takes an acknowledgement in, with the session's counters where it changes what counts. False when it was no news.
pub async fn acknowledge(
    work: &mut UnitOfWork<'_>,
    message: &mut Root<Message>,
    report: &DeliveryReport,
) -> Result<bool> {
    let metrics = match report.signal {
        AckSignal::Failed if message.status.counts() => metrics_if(work, message, false).await?,
        signal if message.status == MessageStatus::Failed && status_of(signal).rank() > message.status.rank() => {
            metrics_if(work, message, true).await?
        }
        _ => None,
    };
    Ok(message.acknowledge(report, metrics))
}

/// The counters of the message's session if the message counts, or does not; none when it has no session.
pub async fn metrics_if(work: &mut UnitOfWork<'_>, message: &Message, counts: bool) -> Result<Option<Metrics>> {
    let Some(session_id) = message.session_id else { return Ok(None) };
    let Some(session) = work.find::<Session>(session_id).await? else { return Ok(None) };
    let late_count = session.metrics.late_count;
    let mut counted = counted_messages(work, session_id).await?;
    let this = counts.then(|| Counted::new(message.timestamp, message.direction, message.source)).flatten();
    counted.insert(message.id, this);
    let counted = counted.into_iter().filter_map(|(id, counted)| counted.map(|counted| (id, counted)));
    Ok(Some(Metrics::of(counted, late_count)))
}

/// The messages of a session as this unit of work leaves them; `None` for one that does not count.
pub async fn counted_messages(
    work: &mut UnitOfWork<'_>,
    session: SessionId,
) -> Result<BTreeMap<MessageId, Option<Counted>>> {
    let mut counted = BTreeMap::new();
    let mut find = Find {
        filter: Filter::eq("session_id", FieldKind::Id, id_value(session)),
        sort: vec![Sort { field: "timestamp".to_owned(), kind: FieldKind::Instant, descending: false }],
        after: None,
        backward: false,
        limit: PAGE,
        include_hidden: true,
        with_total: false,
    };
    loop {
        let scope = work.reader().scope_of(Kind::Message);
        let found = work.reader().storage().find(scope, Kind::Message, &find).await?;
        for row in &found.rows {
            let message: Message = crate::engine::decode(&row.snapshot)?;
            counted.insert(message.id, Counted::of(&message));
        }
        match found.rows.last() {
            Some(last) if found.more => find.after = Some((last.keys.clone(), last.snapshot.id)),
            _ => break,
        }
    }
    let touched: Vec<MessageId> = work
        .recorded()
        .iter()
        .filter(|recorded| recorded.kind == Kind::Message)
        .map(|recorded| MessageId::from_uuid(recorded.aggregate_id))
        .collect();
    for id in touched {
        if let Some(message) = work.find::<Message>(id).await?
            && message.session_id == Some(session)
        {
            counted.insert(id, Counted::of(&message));
        }
    }
    Ok(counted)
}
