//! The native module of the Python package: conversion and nothing else.
//!
//! Every method gives the GIL away before it waits, and runtime threads never take it.

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;
use ventros_ffi::{Delivery, Failure, Fork, Settled, prepare_fork};

pyo3::create_exception!(_native, EngineError, PyException, "Carries an error in the wire form.");

fn raise(failure: Failure) -> PyErr {
    Python::attach(|py| EngineError::new_err(PyBytes::new(py, failure.json().as_bytes()).unbind()))
}

/// A clock that stands still until it is told to move.
#[pyclass(frozen, module = "ventros._native")]
struct ManualClock(Arc<ventros_ffi::ManualClock>);

#[pymethods]
impl ManualClock {
    #[new]
    fn new(micros: i64) -> Self {
        ManualClock(Arc::new(ventros_ffi::ManualClock::new(micros)))
    }

    fn now(&self) -> i64 {
        self.0.micros()
    }

    fn advance(&self, micros: i64) {
        self.0.advance(micros);
    }
}

/// The handle of an open engine.
#[pyclass(frozen, module = "ventros._native")]
struct Engine(ventros_ffi::Engine);

#[pymethods]
impl Engine {
    #[staticmethod]
    #[pyo3(signature = (url, options, clock))]
    fn open(py: Python<'_>, url: &str, options: &[u8], clock: Option<&ManualClock>) -> PyResult<Self> {
        let clock = clock.map(|clock| clock.0.clone());
        py.detach(|| ventros_ffi::Engine::open(url, options, clock)).map(Engine).map_err(raise)
    }

    /// Runs an operation on this thread. A signal handler that raises, such as Ctrl-C, ends it.
    fn call<'py>(
        &self,
        py: Python<'py>,
        operation: &str,
        input: &[u8],
        context: &[u8],
    ) -> PyResult<Bound<'py, PyBytes>> {
        let mut raised = None;
        let mut interrupted = || {
            raised = Python::attach(|py| py.check_signals()).err();
            raised.is_some()
        };
        let answer = py.detach(|| self.0.call(operation, input, context, &mut interrupted));
        match raised {
            Some(error) => Err(error),
            None => Ok(PyBytes::new(py, answer.as_bytes())),
        }
    }

    /// Starts an operation on the engine's threads; its result is drained as `completed`.
    fn submit(&self, py: Python<'_>, token: u64, operation: &str, input: &[u8], context: &[u8]) -> PyResult<()> {
        let (operation, input, context) = (operation.to_owned(), input.to_vec(), context.to_vec());
        py.detach(|| self.0.submit(token, operation, input, context)).map_err(raise)
    }

    /// Ends a call, a subscription or a handler.
    fn cancel(&self, py: Python<'_>, token: u64) {
        py.detach(|| self.0.cancel(token));
    }

    fn subscribe(&self, py: Python<'_>, token: u64, options: &[u8]) -> PyResult<()> {
        py.detach(|| self.0.subscribe(token, options)).map_err(raise)
    }

    /// Waits for the doorbell; false when the engine is closed.
    fn listen(&self, py: Python<'_>) -> bool {
        py.detach(|| self.0.listen())
    }

    /// Hands back what was done with earlier deliveries and takes what is there, without waiting.
    fn drain<'py>(
        &self,
        py: Python<'py>,
        settled: Vec<(u64, usize, Option<String>)>,
    ) -> PyResult<Vec<(&'static str, u64, Bound<'py, PyBytes>)>> {
        let settled = settled.into_iter().map(|(token, done, error)| Settled { token, done, error });
        let deliveries = py.detach(|| self.0.drain(settled)).map_err(raise)?;
        let bytes = |text: String| PyBytes::new(py, text.as_bytes());
        let tuple = |delivery| match delivery {
            Delivery::Completed { token, result } => ("completed", token, bytes(result)),
            Delivery::Live { token, events } => ("live", token, bytes(events)),
            Delivery::Durable { token, events } => ("durable", token, bytes(events)),
            Delivery::Job { token, job, .. } => ("job", token, bytes(job)),
            Delivery::Lost { token, job } => ("lost", token, bytes(job)),
            Delivery::Failed { token, error } => ("failed", token, bytes(error)),
        };
        Ok(deliveries.into_iter().map(tuple).collect())
    }

    /// Says what became of a job; none hands it back.
    fn report(&self, token: u64, job: &str, outcome: Option<&[u8]>) -> PyResult<()> {
        self.0.report(token, job, outcome).map_err(raise)
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.0.close());
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Closing waits for threads that may want the GIL. While the interpreter ends there is none to give away.
        let closed = Python::try_attach(|py| py.detach(|| self.0.close()));
        if closed.is_none() {
            self.0.close();
        }
    }
}

/// A copy of an installation that is under way.
#[pyclass(frozen, module = "ventros._native")]
struct Copying(ventros_ffi::Copying);

#[pymethods]
impl Copying {
    #[staticmethod]
    fn start(py: Python<'_>, source: &str, target: &str) -> PyResult<Self> {
        py.detach(|| ventros_ffi::Copying::start(source, target)).map(Copying).map_err(raise)
    }

    /// Waits for news. A signal handler that raises, such as Ctrl-C, ends the waiting.
    fn wait<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        loop {
            if let Some(news) = py.detach(|| self.0.wait(LOOK)) {
                return Ok(PyBytes::new(py, news.as_bytes()));
            }
            py.check_signals()?;
        }
    }

    /// Breaks it off and waits until both stores are closed.
    fn cancel(&self, py: Python<'_>) {
        py.detach(|| self.0.cancel());
    }
}

/// How often one who waits for a copy looks for signals.
const LOOK: Duration = Duration::from_millis(50);

thread_local! {
    static FORK: RefCell<Option<Fork>> = const { RefCell::new(None) };
}

/// How long a fork waits for calls that are under way. Somewhat longer than these wait for another process.
const PATIENCE: Duration = Duration::from_secs(12);

/// Waits until no thread is inside the engine; until `after_fork` none but this one goes in.
#[pyfunction]
fn before_fork(py: Python<'_>) {
    py.detach(|| FORK.set(Some(prepare_fork(PATIENCE))));
}

#[pyfunction]
fn after_fork(in_child: bool) {
    if let Some(fork) = FORK.take() {
        match in_child {
            true => fork.is_child(),
            false => drop(fork),
        }
    }
}

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Engine>()?;
    module.add_class::<Copying>()?;
    module.add_class::<ManualClock>()?;
    module.add_function(wrap_pyfunction!(before_fork, module)?)?;
    module.add_function(wrap_pyfunction!(after_fork, module)?)?;
    module.add("EngineError", module.py().get_type::<EngineError>())
}
