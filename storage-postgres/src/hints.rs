//! Hints between processes: whoever commits says so, and whoever hears it looks. A hint may be lost, so looking now and then stays
//! the truth.
//!
//! Telling happens beside the commits, on a connection of its own and at most one at a time: inside a commit it would make all
//! commits of the database wait for each other.

use crate::connection::Settings;
use crate::errors::Carry;
use futures_util::future::{Either, select};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_postgres::{AsyncMessage, Client};
use ventros::kernel::Result;

/// How long after a lost connection to try again.
const PAUSE: Duration = Duration::from_millis(500);

/// What is called when somebody else may have committed.
type Bell = dyn Fn() + Send + Sync;

/// What a store says to others and hears of them.
pub(crate) struct Hints {
    /// The server's number of the connection that tells, which is on everything that it says.
    own: AtomicI32,
    changed: AtomicBool,
    to_tell: Notify,
    bells: Mutex<Vec<Weak<Bell>>>,
}

impl Hints {
    pub(crate) fn new() -> Arc<Self> {
        let own = AtomicI32::new(0);
        Arc::new(Hints { own, changed: AtomicBool::new(false), to_tell: Notify::new(), bells: Mutex::default() })
    }

    /// Lets the others know that there is something new.
    pub(crate) fn tell(&self) {
        self.to_tell.notify_one();
    }

    /// True once after somebody else has said so.
    pub(crate) fn take(&self) -> bool {
        self.changed.swap(false, Ordering::AcqRel)
    }

    pub(crate) fn watch(&self, bell: Weak<Bell>) {
        let mut bells = self.bells();
        bells.retain(|bell| bell.strong_count() > 0);
        bells.push(bell);
    }

    fn ring(&self) {
        self.changed.store(true, Ordering::Release);
        let bells: Vec<Arc<Bell>> = self.bells().iter().filter_map(Weak::upgrade).collect();
        bells.iter().for_each(|bell| bell());
    }

    fn bells(&self) -> MutexGuard<'_, Vec<Weak<Bell>>> {
        self.bells.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells and listens until the task is ended.
    pub(crate) async fn run(self: Arc<Self>, settings: Arc<Settings>) {
        loop {
            // Without a connection everybody still looks now and then.
            if let Ok((client, mut lost)) = self.connect(&settings).await {
                // What was said before, also while the store was being opened, was not heard.
                self.ring();
                self.tell_until(&client, &settings, &mut lost).await;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn tell_until(&self, client: &Client, settings: &Settings, lost: &mut tokio::sync::oneshot::Receiver<()>) {
        let tell = format!("NOTIFY \"{}\"", settings.channel());
        loop {
            match select(pin!(self.to_tell.notified()), &mut *lost).await {
                Either::Left(_) if client.batch_execute(&tell).await.is_ok() => {}
                Either::Left(_) => {
                    // Said again on the next connection.
                    self.tell();
                    return;
                }
                Either::Right(_) => return,
            }
        }
    }

    /// A connection that listens, and what says that it is lost.
    async fn connect(self: &Arc<Self>, settings: &Settings) -> Result<(Client, tokio::sync::oneshot::Receiver<()>)> {
        let (client, mut driver) = settings.connect_raw().await?;
        let (end, lost) = tokio::sync::oneshot::channel();
        let hints = self.clone();
        tokio::spawn(async move {
            while let Some(Ok(message)) = std::future::poll_fn(|context| driver.poll_message(context)).await {
                match message {
                    AsyncMessage::Notification(heard) if heard.process_id() != hints.own.load(Ordering::Acquire) => {
                        hints.ring()
                    }
                    _ => {}
                }
            }
            drop(end);
        });
        // A hint that a crash of the server swallows was for readers of that server.
        let listen = format!("SET synchronous_commit = off; LISTEN \"{}\"", settings.channel());
        let row = client.query_one("SELECT pg_backend_pid()", &[]).await.carry()?;
        self.own.store(row.try_get(0).carry()?, Ordering::Release);
        client.batch_execute(&listen).await.carry()?;
        Ok((client, lost))
    }
}
