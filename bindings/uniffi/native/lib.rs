//! The native module for the languages of uniffi: conversion and nothing else.
//!
//! The engine's threads never enter a language: they pass the ring on to a thread that does nothing but ring.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;
use ventros_ffi::Failure;

uniffi::setup_scaffolding!();

/// An error in the wire form.
#[derive(Debug, uniffi::Error)]
pub enum EngineError {
    Refused { json: String },
}

impl std::fmt::Display for EngineError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let EngineError::Refused { json } = self;
        formatter.write_str(json)
    }
}

impl From<Failure> for EngineError {
    fn from(failure: Failure) -> Self {
        EngineError::Refused { json: failure.json() }
    }
}

type Result<T> = std::result::Result<T, EngineError>;

/// A clock that stands still until it is told to move.
#[derive(uniffi::Object)]
pub struct NativeClock(Arc<ventros_ffi::ManualClock>);

#[uniffi::export]
impl NativeClock {
    #[uniffi::constructor]
    pub fn new(micros: i64) -> Self {
        NativeClock(Arc::new(ventros_ffi::ManualClock::new(micros)))
    }

    pub fn now(&self) -> i64 {
        self.0.micros()
    }

    pub fn advance(&self, micros: i64) {
        self.0.advance(micros);
    }
}

/// Hears that there is something to drain.
#[uniffi::export(callback_interface)]
pub trait Doorbell: Send + Sync {
    /// Carries nothing. Rings that come while it runs become one.
    fn ring(&self);
}

/// What became of a delivery.
#[derive(uniffi::Record)]
pub struct Settled {
    pub token: i64,
    /// So many events of it, from the first on, are done.
    pub done: u32,
    /// Why the next one is not.
    pub error: Option<String>,
}

/// Something for the host. The texts are JSON.
#[derive(uniffi::Enum)]
pub enum Delivery {
    /// A submitted call is done.
    Completed { token: i64, answer: String },
    /// Events for a live subscription.
    Live { token: i64, events: String },
    /// Events for a durable one.
    Durable { token: i64, events: String },
    /// A job for a handler.
    Job { token: i64, job: String },
    /// A job that is under way was lost: its id.
    Lost { token: i64, job: String },
    /// A subscription or handler met an error.
    Failed { token: i64, error: String },
}

impl From<ventros_ffi::Delivery> for Delivery {
    fn from(delivery: ventros_ffi::Delivery) -> Self {
        let token = delivery.token().cast_signed();
        match delivery {
            ventros_ffi::Delivery::Completed { result, .. } => Delivery::Completed { token, answer: result },
            ventros_ffi::Delivery::Live { events, .. } => Delivery::Live { token, events },
            ventros_ffi::Delivery::Durable { events, .. } => Delivery::Durable { token, events },
            ventros_ffi::Delivery::Job { job, .. } => Delivery::Job { token, job },
            ventros_ffi::Delivery::Lost { job, .. } => Delivery::Lost { token, job },
            ventros_ffi::Delivery::Failed { error, .. } => Delivery::Failed { token, error },
        }
    }
}

/// The handle of an open engine. A method that waits for the store blocks its thread; the clients call it off theirs.
#[derive(uniffi::Object)]
pub struct NativeEngine(ventros_ffi::Engine);

#[uniffi::export]
impl NativeEngine {
    #[uniffi::constructor]
    pub fn open(
        location: String,
        options: String,
        clock: Option<Arc<NativeClock>>,
        bell: Box<dyn Doorbell>,
    ) -> Result<Self> {
        let clock = clock.map(|clock| clock.0.clone());
        let engine = ventros_ffi::Engine::open(&location, options.as_bytes(), clock)?;
        // Holding the only sender, the engine ends the thread when it forgets the bell. A full queue has rung already.
        let (ring, rings) = sync_channel(1);
        let ringer = move || rings.iter().for_each(|()| bell.ring());
        let bells = std::thread::Builder::new().name("ventros-bell".into());
        bells.spawn(ringer).expect("where the engine's threads started, one more does");
        engine.set_bell(Arc::new(move || {
            ring.try_send(()).ok();
        }));
        Ok(NativeEngine(engine))
    }

    /// Starts an operation on the engine's threads; its answer is drained as `Completed`.
    pub fn submit(&self, token: i64, operation: String, input: String, context: String) -> Result<()> {
        Ok(self.0.submit(token.cast_unsigned(), operation, input.into_bytes(), context.into_bytes())?)
    }

    /// Ends a call, a subscription or a handler.
    pub fn cancel(&self, token: i64) {
        self.0.cancel(token.cast_unsigned());
    }

    /// Starts a subscription or a handler; what it hears is drained as `Live` or `Durable`, what it shall do as `Job`.
    pub fn subscribe(&self, token: i64, options: String) -> Result<()> {
        Ok(self.0.subscribe(token.cast_unsigned(), options.as_bytes())?)
    }

    /// Hands back what was done with earlier deliveries and takes what is there, without waiting.
    pub fn drain(&self, settled: Vec<Settled>) -> Result<Vec<Delivery>> {
        let settled = settled.into_iter().map(|settled| ventros_ffi::Settled {
            token: settled.token.cast_unsigned(),
            done: settled.done as usize,
            error: settled.error,
        });
        Ok(self.0.drain(settled)?.into_iter().map(Delivery::from).collect())
    }

    /// Says what became of a job; none hands it back.
    pub fn report(&self, token: i64, job: String, outcome: Option<String>) -> Result<()> {
        Ok(self.0.report(token.cast_unsigned(), &job, outcome.as_deref().map(str::as_bytes))?)
    }

    /// Ends everything and closes the store. What waits is drained afterwards.
    ///
    /// Not `close`: in Kotlin that lets go of the handle.
    pub fn shutdown(&self) {
        self.0.close();
        self.0.set_bell(Arc::new(|| ()));
    }
}

/// How long one waits for news of a copy before the client looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(100);

/// A copy of an installation that is under way. Its methods block their thread.
#[derive(uniffi::Object)]
pub struct NativeCopying(ventros_ffi::Copying);

#[uniffi::export]
impl NativeCopying {
    #[uniffi::constructor]
    pub fn start(source: String, target: String) -> Result<Self> {
        Ok(NativeCopying(ventros_ffi::Copying::start(&source, &target)?))
    }

    /// Waits for news, or for some time. The text is JSON.
    pub fn news(&self) -> Option<String> {
        self.0.wait(LOOK)
    }

    /// Breaks it off and waits until both stores are closed.
    pub fn cancel(&self) {
        self.0.cancel();
    }
}
