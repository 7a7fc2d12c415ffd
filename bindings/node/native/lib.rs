//! The native module of the Node package: conversion and nothing else.
//!
//! What may wait for the store runs off the JavaScript thread, and the engine's threads never enter JavaScript: they ring.

use napi::bindgen_prelude::{AsyncTask, Function, Result, Task};
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi::{Env, Error, Status};
use napi_derive::napi;
use std::sync::Arc;
use std::time::Duration;
use ventros_ffi::{Delivery, Failure};

/// An error whose message is the wire form.
fn raise(failure: Failure) -> Error {
    Error::new(Status::GenericFailure, failure.json())
}

/// A clock that stands still until it is told to move.
#[napi]
pub struct ManualClock(Arc<ventros_ffi::ManualClock>);

#[napi]
impl ManualClock {
    #[napi(constructor, catch_unwind)]
    pub fn new(micros: i64) -> Self {
        ManualClock(Arc::new(ventros_ffi::ManualClock::new(micros)))
    }

    #[napi(catch_unwind)]
    pub fn now(&self) -> i64 {
        self.0.micros()
    }

    #[napi(catch_unwind)]
    pub fn advance(&self, micros: i64) {
        self.0.advance(micros);
    }
}

/// What became of a durable delivery.
#[napi(object)]
pub struct Settled {
    pub token: i64,
    pub done: u32,
    pub error: Option<String>,
}

/// The handle of an open engine.
#[napi]
pub struct Engine(Arc<ventros_ffi::Engine>);

#[napi]
impl Engine {
    /// Opens the store off this thread.
    #[napi(catch_unwind)]
    pub fn open(location: String, options: String, clock: Option<&ManualClock>) -> AsyncTask<Open> {
        AsyncTask::new(Open { location, options, clock: clock.map(|clock| clock.0.clone()) })
    }

    /// Calls `bell` whenever there is something to drain. It keeps no process alive and is queued once at most.
    #[napi(catch_unwind)]
    pub fn listen(&self, bell: Function<'_, (), ()>) -> Result<()> {
        let bell = bell.build_threadsafe_function().weak::<true>().max_queue_size::<1>().build()?;
        self.0.set_bell(Arc::new(move || {
            // A full queue has rung already, and a closing one has nobody left to hear.
            bell.call((), ThreadsafeFunctionCallMode::NonBlocking);
        }));
        Ok(())
    }

    /// Starts an operation on the engine's threads; its result is drained as `completed`.
    #[napi(catch_unwind)]
    pub fn submit(&self, token: i64, operation: String, input: String, context: String) -> Result<()> {
        self.0.submit(token.cast_unsigned(), operation, input.into_bytes(), context.into_bytes()).map_err(raise)
    }

    /// Ends a call, a subscription or a handler.
    #[napi(catch_unwind)]
    pub fn cancel(&self, token: i64) -> AsyncTask<Cancel> {
        AsyncTask::new(Cancel { engine: self.0.clone(), token })
    }

    #[napi(catch_unwind)]
    pub fn subscribe(&self, token: i64, options: String) -> AsyncTask<Subscribe> {
        AsyncTask::new(Subscribe { engine: self.0.clone(), token, options })
    }

    /// Hands back what was done with earlier deliveries and takes what is there, without waiting: for each delivery the JSON
    /// array of its kind, its token and its body.
    #[napi(catch_unwind)]
    pub fn drain(&self, settled: Vec<Settled>) -> Result<Vec<String>> {
        let settled = settled.into_iter().map(|settled| ventros_ffi::Settled {
            token: settled.token.cast_unsigned(),
            done: settled.done as usize,
            error: settled.error,
        });
        let json = |delivery| match delivery {
            Delivery::Completed { token, result } => format!(r#"["completed",{token},{result}]"#),
            Delivery::Live { token, events } => format!(r#"["live",{token},{events}]"#),
            Delivery::Durable { token, events } => format!(r#"["durable",{token},{events}]"#),
            Delivery::Job { token, job, .. } => format!(r#"["job",{token},{job}]"#),
            Delivery::Lost { token, job } => format!(r#"["lost",{token},"{job}"]"#),
            Delivery::Failed { token, error } => format!(r#"["failed",{token},{error}]"#),
        };
        Ok(self.0.drain(settled).map_err(raise)?.into_iter().map(json).collect())
    }

    /// Says what became of a job; none hands it back.
    #[napi(catch_unwind)]
    pub fn report(&self, token: i64, job: String, outcome: Option<String>) -> Result<()> {
        self.0.report(token.cast_unsigned(), &job, outcome.as_deref().map(str::as_bytes)).map_err(raise)
    }

    #[napi(catch_unwind)]
    pub fn close(&self) -> AsyncTask<Close> {
        AsyncTask::new(Close { engine: self.0.clone() })
    }

    /// The same on this thread, for a process that ends.
    #[napi(catch_unwind)]
    pub fn close_now(&self) {
        close(&self.0);
    }
}

/// Closes and lets go of JavaScript, which holds this handle in turn.
fn close(engine: &ventros_ffi::Engine) {
    engine.close();
    engine.set_bell(Arc::new(|| ()));
}

pub struct Open {
    location: String,
    options: String,
    clock: Option<Arc<ventros_ffi::ManualClock>>,
}

impl Task for Open {
    type Output = ventros_ffi::Engine;
    type JsValue = Engine;

    fn compute(&mut self) -> Result<Self::Output> {
        ventros_ffi::Engine::open(&self.location, self.options.as_bytes(), self.clock.take()).map_err(raise)
    }

    fn resolve(&mut self, _env: Env, engine: Self::Output) -> Result<Engine> {
        Ok(Engine(Arc::new(engine)))
    }
}

/// Work for a thread of libuv that answers nothing.
macro_rules! tasks {
    ($($name:ident { $($field:ident: $kind:ty),* } => $compute:expr;)*) => {$(
        pub struct $name {
            engine: Arc<ventros_ffi::Engine>,
            $($field: $kind,)*
        }

        impl Task for $name {
            type Output = ();
            type JsValue = ();

            fn compute(&mut self) -> Result<()> {
                let compute: fn(&$name) -> Result<()> = $compute;
                compute(self)
            }

            fn resolve(&mut self, _env: Env, (): ()) -> Result<()> {
                Ok(())
            }
        }
    )*};
}

tasks! {
    Subscribe { token: i64, options: String } => |task| {
        task.engine.subscribe(task.token.cast_unsigned(), task.options.as_bytes()).map_err(raise)
    };
    Cancel { token: i64 } => |task| {
        task.engine.cancel(task.token.cast_unsigned());
        Ok(())
    };
    Close {} => |task| {
        close(&task.engine);
        Ok(())
    };
}

/// A copy of an installation that is under way.
#[napi]
pub struct Copying(Arc<ventros_ffi::Copying>);

#[napi]
impl Copying {
    #[napi(catch_unwind)]
    pub fn start(source: String, target: String) -> Result<Self> {
        ventros_ffi::Copying::start(&source, &target).map(|copying| Copying(Arc::new(copying))).map_err(raise)
    }

    /// Waits off this thread for news, or for some time: null then.
    #[napi(catch_unwind)]
    pub fn wait(&self) -> AsyncTask<Wait> {
        AsyncTask::new(Wait(self.0.clone()))
    }

    /// Breaks it off and waits, off this thread, until both stores are closed.
    #[napi(catch_unwind)]
    pub fn cancel(&self) -> AsyncTask<BreakOff> {
        AsyncTask::new(BreakOff(self.0.clone()))
    }
}

/// How long one waits for news of a copy: a signal is heard of in between.
const LOOK: Duration = Duration::from_millis(100);

pub struct Wait(Arc<ventros_ffi::Copying>);

impl Task for Wait {
    type Output = Option<String>;
    type JsValue = Option<String>;

    fn compute(&mut self) -> Result<Self::Output> {
        Ok(self.0.wait(LOOK))
    }

    fn resolve(&mut self, _env: Env, news: Self::Output) -> Result<Self::JsValue> {
        Ok(news)
    }
}

pub struct BreakOff(Arc<ventros_ffi::Copying>);

impl Task for BreakOff {
    type Output = ();
    type JsValue = ();

    fn compute(&mut self) -> Result<()> {
        self.0.cancel();
        Ok(())
    }

    fn resolve(&mut self, _env: Env, (): ()) -> Result<()> {
        Ok(())
    }
}
