//! An outside that a test writes: it answers as told, and remembers what it was asked.

use crate::http::{HttpFailure, HttpRequest, HttpResponse, HttpTransport};
use async_trait::async_trait;
use std::sync::{Arc, Mutex, PoisonError};

type Answer = Result<HttpResponse, HttpFailure>;
type Script = Box<dyn FnMut(&HttpRequest) -> Answer + Send>;

/// A transport without sockets.
pub struct FakeOutside {
    script: Mutex<Script>,
    asked: Mutex<Vec<HttpRequest>>,
}

impl FakeOutside {
    /// Answers every call by this function.
    pub fn new(script: impl FnMut(&HttpRequest) -> Answer + Send + 'static) -> Arc<Self> {
        Arc::new(FakeOutside { script: Mutex::new(Box::new(script)), asked: Mutex::default() })
    }

    /// What it was asked since it was last looked at, in order.
    pub fn asked(&self) -> Vec<HttpRequest> {
        std::mem::take(&mut *self.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Answers by another function from now on.
    pub fn answer(&self, script: impl FnMut(&HttpRequest) -> Answer + Send + 'static) {
        *self.script.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(script);
    }
}

#[async_trait]
impl HttpTransport for FakeOutside {
    async fn send(&self, request: HttpRequest) -> Answer {
        let answer = (self.script.lock().unwrap_or_else(PoisonError::into_inner))(&request);
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        answer
    }
}
