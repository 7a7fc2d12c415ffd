//! Encrypted connections. A certificate is always checked, against those that the operating system trusts or those of a file.

use crate::connection::Settings;
use ventros::kernel::{Error, Result};

#[cfg(feature = "tls")]
mod with_rustls {
    use super::*;
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    use rustls::{ClientConfig, RootCertStore};
    use std::sync::Arc;
    pub(crate) use tokio_postgres_rustls::MakeRustlsConnect as Tls;

    /// What makes a connection an encrypted one.
    pub(crate) fn tls(settings: &Settings) -> Result<Tls> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.map_err(|error| Error::internal(format!("no version of TLS is known: {error}")))?;
        let mut roots = RootCertStore::empty();
        match &settings.root_certificates {
            Some(file) => {
                let broken =
                    |reason: String| Error::unavailable(format!("the root certificates cannot be read: {reason}"));
                for certificate in CertificateDer::pem_file_iter(file).map_err(|error| broken(error.to_string()))? {
                    let certificate = certificate.map_err(|error| broken(error.to_string()))?;
                    roots.add(certificate).map_err(|error| broken(error.to_string()))?;
                }
            }
            // What cannot be read of them is not trusted; that is told when a server is refused for it.
            None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
        }
        Ok(Tls::new(config.with_root_certificates(roots).with_no_client_auth()))
    }
}

#[cfg(feature = "tls")]
pub(crate) use with_rustls::{Tls, tls};

#[cfg(not(feature = "tls"))]
pub(crate) use tokio_postgres::NoTls as Tls;

/// Nothing: this program was built without encryption.
#[cfg(not(feature = "tls"))]
pub(crate) fn tls(settings: &Settings) -> Result<Tls> {
    match &settings.root_certificates {
        Some(_) => Err(Error::unavailable("this program was built without encrypted connections")),
        None => Ok(Tls),
    }
}
