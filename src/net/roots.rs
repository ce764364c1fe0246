//! Whom a client of ours trusts: the certificate authorities of a file, or else the system's.

use std::io;
use std::path::Path;

use hyper_rustls::ConfigBuilderExt;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// Why there are no authorities to trust.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RootsError {
    /// The file cannot be used; says which and why.
    #[error("{0}")]
    File(String),
    /// The system has none.
    #[error("the system has no certificate authorities: {0}")]
    System(#[source] io::Error),
}

/// TLS for a client, with the authorities of a PEM file alone where one is given. Without any, `needed` says whether that is
/// an error: a machine that has none can still speak plain HTTP.
///
/// # Errors
/// [`RootsError`].
pub(crate) fn client_tls(file: Option<&Path>, needed: bool) -> Result<ClientConfig, RootsError> {
    let provider = rustls::crypto::ring::default_provider();
    let builder = ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .expect("ring has the cipher suites of TLS 1.2 and 1.3");
    let builder = match file {
        Some(file) => builder.with_root_certificates(roots_of(file).map_err(RootsError::File)?),
        None => match builder.clone().with_native_roots() {
            Ok(builder) => builder,
            Err(e) if needed => return Err(RootsError::System(e)),
            Err(_) => builder.with_root_certificates(RootCertStore::empty()),
        },
    };
    Ok(builder.with_no_client_auth())
}

fn roots_of(file: &Path) -> Result<RootCertStore, String> {
    let shown = file.display();
    let certificates = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| format!("{shown} cannot be read: {e}"))?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots
            .add(certificate)
            .map_err(|e| format!("{shown} has a certificate that cannot be used: {e}"))?;
    }
    if roots.is_empty() {
        return Err(format!("{shown} has no certificate"));
    }
    Ok(roots)
}
