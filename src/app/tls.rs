//! TLS on the listener: a certificate that is read again when it changes, and clients' certificates where they are asked
//! for.
//!
//! Certificate and key are two files that change one after the other. They are taken together: a pair that does not fit is
//! left alone until it does, and the earlier one goes on. Connections that stand keep what they began with.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use crate::config::{Secret, Server, Watched};

/// The TLS of a listener.
pub(super) struct Tls {
    certificate: Watched<String>,
    key: Watched<Secret>,
    client_ca: Option<Watched<String>>,
    current: Mutex<Current>,
}

struct Current {
    made_of: Material,
    acceptor: TlsAcceptor,
}

/// The contents of the files. Each keeps its place in memory until its file changes.
#[derive(Clone)]
struct Material {
    certificate: Arc<String>,
    key: Arc<Secret>,
    client_ca: Option<Arc<String>>,
}

impl Material {
    fn is(&self, other: &Self) -> bool {
        let same_ca = match (&self.client_ca, &other.client_ca) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        };
        same_ca
            && Arc::ptr_eq(&self.certificate, &other.certificate)
            && Arc::ptr_eq(&self.key, &other.key)
    }
}

impl Tls {
    /// Reads the files; `None` where the listener speaks plain HTTP.
    ///
    /// # Errors
    /// With the file that is at fault.
    pub(super) async fn open(server: &Server) -> anyhow::Result<Option<Self>> {
        let (Some(certificate), Some(key)) = (&server.tls_certificate, &server.tls_key) else {
            return Ok(None);
        };
        let text = |text: &str| Ok(text.to_owned());
        let certificate = Watched::open(certificate, "the TLS certificate", text)?;
        let key = Watched::open(key, "the TLS key", |text| Ok(Secret::new(text)))?;
        let client_ca = match &server.tls_client_ca {
            Some(path) => Some(Watched::open(path, "the authorities of clients", text)?),
            None => None,
        };
        let made_of = Material {
            certificate: certificate.current().await,
            key: key.current().await,
            client_ca: match &client_ca {
                Some(file) => Some(file.current().await),
                None => None,
            },
        };
        let acceptor = acceptor(&made_of).context("server.tls_certificate, server.tls_key")?;
        Ok(Some(Self {
            certificate,
            key,
            client_ca,
            current: Mutex::new(Current { made_of, acceptor }),
        }))
    }

    /// What a new connection is accepted with, at most a second old.
    pub(super) async fn acceptor(&self) -> TlsAcceptor {
        let now = Material {
            certificate: self.certificate.current().await,
            key: self.key.current().await,
            client_ca: match &self.client_ca {
                Some(file) => Some(file.current().await),
                None => None,
            },
        };
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if !current.made_of.is(&now) {
            // Noted in either case, so that a pair that does not fit is told once.
            current.made_of = now;
            match acceptor(&current.made_of) {
                Ok(acceptor) => {
                    tracing::info!("new connections get the changed TLS certificate");
                    current.acceptor = acceptor;
                }
                Err(e) => tracing::error!(
                    error = format!("{e:#}"),
                    "the changed TLS files do not fit; the earlier certificate goes on"
                ),
            }
        }
        current.acceptor.clone()
    }
}

fn acceptor(files: &Material) -> anyhow::Result<TlsAcceptor> {
    let chain = CertificateDer::pem_slice_iter(files.certificate.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .context("the certificate cannot be read")?;
    anyhow::ensure!(!chain.is_empty(), "the certificate's file has none");
    // The parser's own message might quote the key.
    let key = PrivateKeyDer::from_pem_slice(files.key.expose().as_bytes())
        .map_err(|_| anyhow::anyhow!("the key cannot be read"))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .context("ring has the cipher suites of TLS 1.2 and 1.3")?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(text) => {
            let mut roots = RootCertStore::empty();
            for authority in CertificateDer::pem_slice_iter(text.as_bytes()) {
                roots.add(authority.context("tls_client_ca cannot be read")?)?;
            }
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.context("tls_client_ca")?)
        }
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .context("key and certificate do not fit")?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
