//! Data from the web, for the import method `web-download` (contract 6.5). Knows URLs, addresses and HTTP, and nothing of images.
//!
//! Whoever may import can make this server ask for a URL of their choice, so what it asks is held to rules, in this order:
//!
//! - *The form of the URL.* What parsers read in different ways is refused (`web/url.rs`, `web/host.rs`).
//! - *The lists of the site*: schemes, hosts, ports (`web/filter.rs`).
//! - *The addresses.* A name is resolved once, every address of it is judged (`web/address.rs`), and the connection goes to those very
//!   addresses (`web/exchange.rs`): what the DNS says a moment later does not matter.
//!
//! Each hop of a redirect goes the same way (CVE-2026-34881), and so does each try to go on with what broke off
//! (`web/download.rs`). A redirect from https to http is followed where both schemes are allowed, as mirrors need it. There are no cookies, no
//! credentials, no proxies.

mod address;
mod answer;
mod download;
mod error;
mod exchange;
mod filter;
mod host;
mod refused;
mod resolver;
mod url;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt, try_unfold};
use http_body::{Body, Frame};

use crate::net::{RootsError, client_tls};
use download::Download;
pub(crate) use error::Error;
use exchange::{Connector, Exchange, Rest};
use filter::Filter;
use host::HostFault;
pub(crate) use refused::Refused;
use resolver::Resolver;
use url::Url;

pub(crate) use crate::config::WebRules;

/// How often a source may lead to another one.
const REDIRECTS: usize = 5;

/// Why the rules of the site cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WebSetupError {
    /// A list of hosts has something else.
    #[error("import.{key}: {host:?} {why}")]
    Host {
        /// The list.
        key: &'static str,
        /// What it has.
        host: String,
        /// Why that is no host.
        #[source]
        why: HostFault,
    },
    /// The certificate authorities cannot be used.
    #[error("import.ca_bundle: {0}")]
    Roots(#[from] RootsError),
}

/// Asks sources on the web, those that the site allows. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Web(Arc<Inner>);

struct Inner {
    filter: Filter,
    resolver: Resolver,
    connector: Connector,
    first_pause: Duration,
}

impl Web {
    /// Makes ready to ask.
    ///
    /// # Errors
    /// [`WebSetupError`].
    pub(crate) fn new(rules: WebRules) -> Result<Self, WebSetupError> {
        Self::with_pause(&rules, download::FIRST_PAUSE)
    }

    fn with_pause(rules: &WebRules, first_pause: Duration) -> Result<Self, WebSetupError> {
        let connect_timeout = rules.connect_timeout.duration();
        Ok(Self(Arc::new(Inner {
            filter: Filter::new(rules)?,
            resolver: Resolver::new(connect_timeout),
            connector: Connector {
                tls: client_tls(rules.ca_bundle.as_deref(), false)?,
                connect_timeout,
                read_timeout: rules.read_timeout.duration(),
            },
            first_pause,
        })))
    }

    /// Whether a source may be asked, as far as that is known without asking it.
    ///
    /// # Errors
    /// [`Refused`], also when the host cannot be resolved.
    pub(crate) async fn check(&self, uri: &str) -> Result<(), Refused> {
        self.admit(&Url::parse(uri)?).await.map(drop)
    }

    /// Opens a source: follows redirects, and reads the head of the answer.
    ///
    /// # Errors
    /// [`Error`].
    pub(crate) async fn open(&self, uri: &str) -> Result<WebBody, Error> {
        let download = Download::open(self, uri).await?;
        Ok(WebBody {
            length: download.length(),
            pieces: try_unfold(download, Download::next).boxed(),
        })
    }

    /// Holds a URL to the rules; gives the addresses that may be connected to.
    async fn admit(&self, url: &Url) -> Result<Vec<SocketAddr>, Refused> {
        self.0.filter.check_url(url)?;
        let addresses = self.0.resolver.resolve(&url.host, url.port).await?;
        let ips = addresses.iter().map(SocketAddr::ip);
        self.0.filter.check_addresses(&url.host, ips)?;
        Ok(addresses)
    }

    /// Asks a source for its data, or the rest of it, and those that it leads to. Gives the last one, and its answer.
    async fn follow(
        &self,
        origin: &Url,
        rest: Option<&Rest<'_>>,
    ) -> Result<(Url, Exchange), Error> {
        let mut url = origin.clone();
        for hop in 0..=REDIRECTS {
            let refused = match hop {
                0 => Error::Refused,
                _ => Error::RedirectRefused,
            };
            let addresses = self.admit(&url).await.map_err(refused)?;
            let exchange = self.0.connector.get(&url, addresses, rest).await?;
            let Some(location) = answer::redirect(exchange.status, &exchange.headers) else {
                return Ok((url, exchange));
            };
            let joined = match location.to_str() {
                Ok(location) => url.join(location),
                Err(_) => Err(Refused::Characters),
            };
            url = joined.map_err(Error::RedirectRefused)?;
        }
        Err(Error::TooManyRedirects(REDIRECTS))
    }

    fn first_pause(&self) -> Duration {
        self.0.first_pause
    }
}

/// The data of a source. It ends after the last byte that was promised, or with an error.
pub(crate) struct WebBody {
    length: Option<u64>,
    pieces: BoxStream<'static, Result<Bytes, Error>>,
}

impl WebBody {
    /// How many bytes it has, as the source says; none for data in chunks.
    pub(crate) fn length(&self) -> Option<u64> {
        self.length
    }
}

impl Body for WebBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let piece = ready!(self.pieces.as_mut().poll_next(cx));
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }
}

#[cfg(test)]
mod tests;
