//! The running subscriptions: cursors on the log that are read when the doorbell rings, never by the commit itself.

use crate::outbox::{Delivery, Outbox};
use crate::wire::{Failure, Wanted, options, output};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Mutex;
use ventros::engine::{Crm, Durable, LiveFeed};
use ventros::kernel::{Error, Result};
use ventros::storage::EventRecord;

/// How many events one delivery carries at most.
const BATCH: usize = 100;

/// What the host did with a delivery. Until it says so, nothing more is read for that subscription.
#[derive(Debug, Clone)]
pub struct Settled {
    pub token: u64,
    /// So many events of a durable delivery, from the first on, are done.
    pub done: usize,
    /// Why the next one is not. Without it the rest comes again at once.
    pub error: Option<String>,
}

enum Reader {
    Live {
        feed: LiveFeed,
        /// Delivered and not settled.
        out: bool,
    },
    Durable {
        consumer: Box<Durable>,
        /// Delivered and not settled.
        out: Vec<EventRecord>,
    },
    /// Cancelled while somebody still held it.
    Ended,
}

/// All subscriptions of one engine, by the caller's tokens.
#[derive(Default)]
pub(crate) struct Subscriptions {
    readers: Mutex<BTreeMap<u64, Arc<Mutex<Reader>>>>,
    settled: std::sync::Mutex<Vec<Settled>>,
}

impl Subscriptions {
    pub async fn add(&self, crm: &Crm, token: u64, wanted: Wanted) -> Result<()> {
        let reader = match wanted {
            Wanted::Live { project_id, events } => Reader::Live { feed: crm.on(project_id, events).await?, out: false },
            Wanted::Durable { project_id, name, events, start, max_attempts } => {
                let consumer = crm.subscribe(project_id, &name, options(events, &start, max_attempts)).await?;
                Reader::Durable { consumer: Box::new(consumer), out: Vec::new() }
            }
            Wanted::Jobs { .. } => return Err(Error::internal("jobs are no events")),
        };
        self.readers.lock().await.insert(token, Arc::new(Mutex::new(reader)));
        Ok(())
    }

    /// Ends a subscription; a durable one keeps its place, after what was settled before, and lets others read.
    pub async fn remove(&self, token: u64) -> bool {
        let Some(reader) = self.readers.lock().await.remove(&token) else { return false };
        let mut reader = reader.lock().await;
        let settled: Vec<Settled> = self.settled().extract_if(.., |answer| answer.token == token).collect();
        for answer in settled {
            // An answer that does not reach the store makes the events come again.
            reader.settle(&answer).await.ok();
        }
        if let Reader::Durable { mut consumer, .. } = std::mem::replace(&mut *reader, Reader::Ended) {
            // The lease ends by itself if the store cannot be reached now.
            consumer.release().await.ok();
        }
        true
    }

    /// Ends all of them.
    pub async fn clear(&self) {
        let tokens: Vec<u64> = self.readers.lock().await.keys().copied().collect();
        for token in tokens {
            self.remove(token).await;
        }
    }

    /// Notes what the host did; the next [`pump`](Self::pump) tells the store.
    pub fn settle(&self, settled: impl IntoIterator<Item = Settled>) -> bool {
        let mut all = self.settled();
        let before = all.len();
        all.extend(settled);
        all.len() > before
    }

    /// Tells the store what was settled and fetches what is new, unless the host has not taken the last yet: a slow host
    /// costs one batch per subscription. Says how many events were put into the outbox.
    pub async fn pump(&self, outbox: &Outbox) -> usize {
        let settled = std::mem::take(&mut *self.settled());
        for answer in settled {
            let reader = self.readers.lock().await.get(&answer.token).cloned();
            if let Some(reader) = reader
                && let Err(error) = reader.lock().await.settle(&answer).await
            {
                outbox.push(failed(answer.token, error));
            }
        }
        let readers: Vec<_> =
            self.readers.lock().await.iter().map(|(token, reader)| (*token, reader.clone())).collect();
        let mut events = 0;
        for (token, reader) in readers {
            if outbox.has(token) {
                continue;
            }
            match reader.lock().await.read(token).await {
                Ok(Some((count, delivery))) => {
                    events += count;
                    outbox.push(delivery);
                }
                Ok(None) => {}
                Err(error) => outbox.push(failed(token, error)),
            }
        }
        events
    }

    fn settled(&self) -> std::sync::MutexGuard<'_, Vec<Settled>> {
        self.settled.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Reader {
    async fn settle(&mut self, answer: &Settled) -> Result<()> {
        let (consumer, out) = match self {
            Reader::Durable { consumer, out } => (consumer, out),
            Reader::Live { out, .. } => {
                *out = false;
                return Ok(());
            }
            Reader::Ended => return Ok(()),
        };
        let events = std::mem::take(out);
        if let Some(last) = events.get(..answer.done).and_then(<[_]>::last) {
            consumer.ack(last.seq).await?;
        }
        match (&answer.error, events.get(answer.done)) {
            (Some(error), Some(event)) => consumer.fail(event, error).await,
            _ => Ok(()),
        }
    }

    async fn read(&mut self, token: u64) -> Result<Option<(usize, Delivery)>> {
        match self {
            Reader::Live { out: true, .. } => Ok(None),
            Reader::Live { feed, out } => {
                let events = feed.drain(BATCH).await?;
                if events.is_empty() {
                    return Ok(None);
                }
                *out = true;
                Ok(Some((events.len(), Delivery::Live { token, events: output(&events)? })))
            }
            Reader::Ended => Ok(None),
            Reader::Durable { out, .. } if !out.is_empty() => Ok(None),
            Reader::Durable { consumer, out } => {
                *out = consumer.next(BATCH).await?;
                if out.is_empty() {
                    return Ok(None);
                }
                Ok(Some((out.len(), Delivery::Durable { token, events: output(out)? })))
            }
        }
    }
}

pub(crate) fn failed(token: u64, error: Error) -> Delivery {
    Delivery::Failed { token, error: Failure(error).json() }
}
