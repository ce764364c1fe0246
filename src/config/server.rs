//! `[server]`: the listener of the API.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::read::Section;
use super::setting::HttpUrl;
use super::units::{ByteSize, Span};

/// How the API is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Address and port of the API. Default `127.0.0.1:9292`; port 0 takes a free one. Set `0.0.0.0:9292` to serve
    /// other machines, or keep it and put a proxy in front.
    pub listen: SocketAddr,
    /// The http(s) URL under which clients reach the API, used in the version list and in `Location`. Default: none,
    /// the `Host` of each request is used. Set it behind a proxy that ends TLS or adds a path. Kept without a slash
    /// at the end.
    pub public_endpoint: Option<String>,
    /// The PEM file of the server's certificate and those between it and its authority. Default: none, plain HTTP. Goes
    /// with `tls_key`; both are read again when they change.
    pub tls_certificate: Option<PathBuf>,
    /// The PEM file of its private key. Default: none.
    pub tls_key: Option<PathBuf>,
    /// A PEM file of authorities: every client must then show a certificate of one of them. Default: none.
    pub tls_client_ca: Option<PathBuf>,
    /// How long a client may take to send the head of a request. Default `"30s"`. Lower it against clients that hold
    /// connections open.
    pub header_timeout: Span,
    /// How long a client may pause between two pieces of a request body; it does not limit the whole upload. Default
    /// `"60s"`. Raise it for clients that produce images slowly.
    pub body_idle_timeout: Span,
    /// How long a client may take to send a whole body that is no image data. Default `"30s"`.
    pub json_timeout: Span,
    /// How long a client may take no byte of an answer before it is cut. Default `"60s"`. Raise it for clients that
    /// pause downloads.
    pub write_idle_timeout: Span,
    /// How many bytes a second a client must take of an answer, as an average over `write_idle_timeout`. Default
    /// `"16KiB"`; 0 for any. Time counts only while bytes wait for the client.
    pub min_download_rate: ByteSize,
    /// How many bytes a second a client must send of image data, as an average over `body_idle_timeout`. Default
    /// `"16KiB"`; 0 for any. Time counts only while the server waits for the client.
    pub min_upload_rate: ByteSize,
    /// How many connections there may be at once; fewer where the process may not open as many files. Default 2048. When
    /// all are taken, the one that has idled longest is closed for a new one.
    pub max_connections: u32,
    /// How long the server goes on once it is told to stop, no longer ready (`/healthcheck` is 503) and asking clients
    /// to close. Default `"5s"`; longer than a load balancer takes to notice.
    pub drain_delay: Span,
    /// How long running requests may go on after that, once the server is told to stop. Default `"60s"`; `"0s"` cuts them at
    /// once. Keep it below the kill timeout of the service manager.
    pub drain_grace: Span,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9292)),
            public_endpoint: None,
            tls_certificate: None,
            tls_key: None,
            tls_client_ca: None,
            header_timeout: Span::seconds(30),
            body_idle_timeout: Span::seconds(60),
            json_timeout: Span::seconds(30),
            write_idle_timeout: Span::seconds(60),
            min_download_rate: ByteSize(16 * 1024),
            min_upload_rate: ByteSize(16 * 1024),
            max_connections: 2048,
            drain_delay: Span::seconds(5),
            drain_grace: Span::seconds(60),
        }
    }
}

impl Server {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        let server = Self {
            listen: section.take("listen", default.listen),
            public_endpoint: section
                .take_optional("public_endpoint")
                .map(|HttpUrl(url)| url),
            tls_certificate: section.take_optional("tls_certificate"),
            tls_key: section.take_optional("tls_key"),
            tls_client_ca: section.take_optional("tls_client_ca"),
            header_timeout: section.take_timeout("header_timeout", default.header_timeout),
            body_idle_timeout: section.take_timeout("body_idle_timeout", default.body_idle_timeout),
            json_timeout: section.take_timeout("json_timeout", default.json_timeout),
            write_idle_timeout: section
                .take_timeout("write_idle_timeout", default.write_idle_timeout),
            min_download_rate: section.take("min_download_rate", default.min_download_rate),
            min_upload_rate: section.take("min_upload_rate", default.min_upload_rate),
            max_connections: section.take("max_connections", default.max_connections),
            drain_delay: section.take("drain_delay", default.drain_delay),
            drain_grace: section.take("drain_grace", default.drain_grace),
        };
        if server.max_connections == 0 {
            section.fault("max_connections", "must be at least 1");
        }
        let (certificate, key) = (server.tls_certificate.is_some(), server.tls_key.is_some());
        if certificate != key {
            let (missing, given) = if key {
                ("tls_certificate", "tls_key")
            } else {
                ("tls_key", "tls_certificate")
            };
            section.fault(missing, format!("is required with {given}"));
        }
        if server.tls_client_ca.is_some() && !certificate && !key {
            section.fault("tls_certificate", "is required with tls_client_ca");
        }
        server
    }
}
