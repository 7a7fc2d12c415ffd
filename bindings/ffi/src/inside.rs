//! Futures that are inside of the store's door whenever they work, and outside while they wait: a fork waits for nobody who waits.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use ventros_sqlite::fork;

/// A future of the runtime. Taking it apart is work too.
pub(crate) struct Inside<F>(Option<Pin<Box<F>>>);

impl<F: Future> Inside<F> {
    pub fn new(future: F) -> Self {
        Inside(Some(Box::pin(future)))
    }
}

impl<F: Future> Future for Inside<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let _inside = fork::enter();
        let future = self.0.as_mut().expect("a future is not polled again after it has ended");
        let polled = future.as_mut().poll(context);
        if polled.is_ready() {
            self.0 = None;
        }
        polled
    }
}

impl<F> Drop for Inside<F> {
    fn drop(&mut self) {
        let _inside = fork::enter();
        self.0 = None;
    }
}
