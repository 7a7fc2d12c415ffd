//! Calls to the outside: one connection per call, to an address that was looked up once and checked.
//!
//! Nothing is followed, pooled, retried or unpacked, and no proxy of the environment is asked. Names are resolved by the operating
//! system; certificates are checked against those that it trusts, for the name and not for the address.

mod call;
mod dial;

use async_trait::async_trait;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use ventros::http::{Guard, HttpFailure, HttpRequest, HttpResponse, HttpTransport};
use ventros::kernel::{Error, ErrorCode, Result};

/// A way to the outside over TCP and TLS.
pub struct Http {
    runtime: Handle,
    settings: Arc<Settings>,
}

/// What all calls have in common.
struct Settings {
    guard: Guard,
    tls: Arc<ClientConfig>,
    /// Names that are not looked up.
    known: BTreeMap<String, Vec<IpAddr>>,
}

/// What a [`Http`] is made with.
#[derive(Default)]
pub struct HttpOptions {
    /// What is allowed beyond the public net, for calls whose place somebody else named.
    pub guard: Guard,
    /// Certificates to trust beside those of the operating system, as PEM.
    pub trusted: Vec<Vec<u8>>,
    /// Addresses of names that are not looked up, such as those of a hosts file. They are checked like all others.
    pub known: BTreeMap<String, Vec<IpAddr>>,
}

impl Http {
    /// Calls run on `runtime`, whoever waits for them.
    ///
    /// # Errors
    /// `input_invalid` for a certificate that cannot be read.
    pub fn new(runtime: Handle, options: HttpOptions) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        for pem in &options.trusted {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let invalid = || Error::new(ErrorCode::InputInvalid).message("a trusted certificate cannot be read");
                roots.add(certificate.map_err(|_| invalid())?).map_err(|_| invalid())?;
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|e| Error::internal(format!("TLS cannot be set up: {e}")))?;
        let mut tls = builder.with_root_certificates(roots).with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let settings = Settings { guard: options.guard, tls: Arc::new(tls), known: options.known };
        Ok(Http { runtime, settings: Arc::new(settings) })
    }
}

#[async_trait]
impl HttpTransport for Http {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpFailure> {
        let settings = self.settings.clone();
        // Whoever waits may have no runtime, or another one.
        let mut task = Aborting(self.runtime.spawn(async move { call::call(&settings, request).await }));
        (&mut task.0).await.unwrap_or(Err(HttpFailure::Interrupted))
    }

    fn guard(&self) -> Guard {
        self.settings.guard.clone()
    }
}

/// A call that ends when nobody waits for it any more.
struct Aborting(JoinHandle<Result<HttpResponse, HttpFailure>>);

impl Drop for Aborting {
    fn drop(&mut self) {
        self.0.abort();
    }
}
