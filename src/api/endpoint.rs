//! Where clients reach the API, for the links in answers.

use std::net::SocketAddr;

use http::HeaderMap;
use http::header::HOST;

use crate::config::Server;

/// What is known of the API's URL.
#[derive(Debug)]
pub(super) struct Endpoint {
    /// The site's own word for it.
    public: Option<String>,
    scheme: &'static str,
    listen: SocketAddr,
}

impl Endpoint {
    pub(super) fn new(server: &Server) -> Self {
        Self {
            public: server.public_endpoint.clone(),
            scheme: match server.tls_certificate {
                Some(_) => "https",
                None => "http",
            },
            listen: server.listen,
        }
    }

    /// The URL that the site has chosen, else the one the client has used.
    pub(super) fn base_url(&self, headers: &HeaderMap) -> String {
        match &self.public {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => self.request_url(headers),
        }
    }

    /// Scheme and host as the client sees them.
    pub(super) fn request_url(&self, headers: &HeaderMap) -> String {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        let host = host.map_or_else(|| self.listen.to_string(), str::to_owned);
        format!("{}://{host}", self.scheme)
    }
}
