//! Calls to the outside as plain data: what is asked, what came back, and the port through which it goes. The library itself opens
//! no socket: it builds requests and reads responses.

mod guard;

pub use guard::{Blocked, Guard};

use async_trait::async_trait;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// Takes calls to the outside. A host may bring its own; `ventros-http` is a ready one.
#[async_trait]
pub trait HttpTransport: Send + Sync {
    /// Makes one call, within the time and up to the size that the request names. It follows no redirect, and tries nothing twice.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpFailure>;

    /// What it allows beyond the public net, so that an address can be refused when it is saved.
    fn guard(&self) -> Guard {
        Guard::default()
    }
}

/// What is done at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HttpMethod {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl HttpMethod {
    pub const fn as_str(self) -> &'static str {
        match self {
            HttpMethod::Get => "GET",
            HttpMethod::Post => "POST",
            HttpMethod::Put => "PUT",
            HttpMethod::Patch => "PATCH",
            HttpMethod::Delete => "DELETE",
        }
    }
}

/// Which addresses a call may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Somebody's input named the place: public addresses alone, and what the host allows.
    Public,
    /// The host itself named the place.
    Configured,
}

/// One call. `Debug` shows the method, the host and sizes: paths, headers and bodies may carry secrets and personal data.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpRequest {
    pub method: HttpMethod,
    /// Absolute, with `https` or `http`.
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// For all of it, from the lookup of the name to the last byte.
    pub timeout: Duration,
    /// Bytes of the answer's body beyond these are not read.
    pub max_response: usize,
    pub reach: Reach,
}

impl HttpRequest {
    /// Without a body: 30 seconds, and up to 64 KiB of an answer, from public places.
    pub fn new(method: HttpMethod, url: impl Into<String>) -> Self {
        HttpRequest {
            method,
            url: url.into(),
            headers: Vec::new(),
            body: Vec::new(),
            timeout: Duration::from_secs(30),
            max_response: 64 * 1024,
            reach: Reach::Public,
        }
    }

    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Scheme, host and port of its address.
    pub fn endpoint(&self) -> String {
        let Ok(url) = url::Url::parse(&self.url) else { return String::new() };
        let port = url.port_or_known_default().unwrap_or_default();
        format!("{}://{}:{port}", url.scheme(), url.host_str().unwrap_or_default())
    }

    /// The host of its address, for people.
    pub fn host(&self) -> String {
        let url = url::Url::parse(&self.url).ok();
        url.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
    }
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("HttpRequest")
            .field("method", &self.method.as_str())
            .field("host", &self.host())
            .field("headers", &names)
            .field("bytes", &self.body.len())
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// What came back. `Debug` shows the status and sizes.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpResponse {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// There was more than was asked for.
    pub is_cut: bool,
    /// Who answered.
    pub address: Option<IpAddr>,
}

impl HttpResponse {
    /// A whole answer.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        HttpResponse { status, headers: Vec::new(), body: body.into(), is_cut: false, address: None }
    }

    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The first header of this name, which has no case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(found.1.trim())
    }
}

impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpResponse")
            .field("status", &self.status)
            .field("bytes", &self.body.len())
            .field("is_cut", &self.is_cut)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// Why there is no answer. The texts are for people and carry no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpFailure {
    /// The place must not be called; nothing was sent.
    Blocked { reason: String },
    /// The name has no address; nothing was sent.
    Dns,
    /// Nobody is there; nothing was sent.
    Connect,
    /// Who is there cannot prove who it is; nothing was sent.
    Tls,
    /// It took too long. When `was_sent`, the other side may have got it.
    Timeout { was_sent: bool },
    /// The connection broke after something was sent: the other side may have got it.
    Interrupted,
}

impl HttpFailure {
    /// Whether the other side may have got it all the same.
    pub const fn was_sent(&self) -> bool {
        matches!(self, HttpFailure::Timeout { was_sent: true } | HttpFailure::Interrupted)
    }

    pub const fn as_str(&self) -> &'static str {
        match self {
            HttpFailure::Blocked { .. } => "blocked_address",
            HttpFailure::Dns => "dns",
            HttpFailure::Connect => "connect",
            HttpFailure::Tls => "tls",
            HttpFailure::Timeout { .. } => "timeout",
            HttpFailure::Interrupted => "interrupted",
        }
    }
}

impl fmt::Display for HttpFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HttpFailure::Blocked { reason } => write!(f, "{}: {reason}", self.as_str()),
            _ => f.write_str(self.as_str()),
        }
    }
}

impl std::error::Error for HttpFailure {}
