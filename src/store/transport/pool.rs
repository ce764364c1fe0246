//! The connections to stores that idle, each with a place to be found at.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_s3::primitives::SdkBody;
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderValue, Request, Response, Uri, header};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector as TcpConnector;
use tokio::time::Instant;
use tower::ServiceExt;

use super::connection::{Answer, Connection};

/// Idle connections kept for each place: enough for the parts of a few uploads, few enough for small stores.
const IDLE_CONNECTIONS: usize = 64;
const IDLE_LIFE: Duration = Duration::from_secs(20);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// There was no connection to be had.
    #[error("cannot connect")]
    Connect(#[source] Box<dyn StdError + Send + Sync>),
    /// It broke, or was no HTTP.
    #[error("the connection failed")]
    Http(#[source] hyper::Error),
    /// The request names no host, or a header cannot be made of it.
    #[error("the request has no URL that can be asked")]
    Url,
}

/// Where a connection leads, and whether it may be used again.
#[derive(Debug, Clone)]
pub(super) struct Home {
    place: Arc<str>,
    is_poisoned: Arc<AtomicBool>,
}

impl Home {
    /// Keeps the connection from being used again.
    pub(super) fn poison(&self) {
        self.is_poisoned.store(true, Ordering::Relaxed);
    }
}

struct Idle {
    connection: Connection,
    since: Instant,
}

/// Connections to stores.
pub(super) struct Pool {
    connector: HttpsConnector<TcpConnector>,
    idle: Mutex<HashMap<Arc<str>, Vec<Idle>>>,
}

impl Pool {
    pub(super) fn new(connector: HttpsConnector<TcpConnector>) -> Self {
        Self {
            connector,
            idle: Mutex::default(),
        }
    }

    /// The place that a request is for.
    pub(super) fn home(uri: &Uri) -> Result<Home, Failure> {
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return Err(Failure::Url);
        };
        Ok(Home {
            place: format!("{scheme}://{authority}").into(),
            is_poisoned: Arc::default(),
        })
    }

    /// Sends a request over a connection that idles, or over a new one.
    pub(super) async fn request(
        self: Arc<Self>,
        mut request: Request<SdkBody>,
        home: Home,
    ) -> Result<Response<SdkBody>, Failure> {
        let uri = request.uri().clone();
        as_sent(&mut request)?;
        loop {
            let (mut connection, is_new) = match self.take(&home).await {
                Some(connection) => (connection, false),
                None => (self.connect(&uri).await?, true),
            };
            match connection.send(request).await {
                Ok(answer) => {
                    return Ok(answer.map(|body| {
                        SdkBody::from_body_1_x(Answer::new(body, connection, self, home))
                    }));
                }
                Err(mut e) => match e.take_message() {
                    // The store had closed it just then; nothing of the request was sent.
                    Some(unsent) if !is_new => request = unsent,
                    _ => return Err(Failure::Http(e.into_error())),
                },
            }
        }
    }

    async fn connect(&self, uri: &Uri) -> Result<Connection, Failure> {
        let socket = self.connector.clone().oneshot(uri.clone());
        let socket = socket.await.map_err(Failure::Connect)?;
        Connection::open(socket).await.map_err(Failure::Http)
    }

    async fn take(&self, home: &Home) -> Option<Connection> {
        loop {
            // The one that was used last is the likeliest to stand.
            let idle = self.idle().get_mut(&home.place).and_then(Vec::pop)?;
            let Idle {
                mut connection,
                since,
            } = idle;
            if since.elapsed() < IDLE_LIFE && connection.is_ready().await {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection for the next request.
    pub(super) fn put(&self, home: &Home, connection: Connection) {
        if home.is_poisoned.load(Ordering::Relaxed) {
            return;
        }
        let since = Instant::now();
        let mut idle = self.idle();
        let there = idle.entry(Arc::clone(&home.place)).or_default();
        // They are in the order of their times.
        let too_old = there.partition_point(|idle| idle.since.elapsed() >= IDLE_LIFE);
        let too_many = (there.len() + 1).saturating_sub(IDLE_CONNECTIONS);
        let ended: Vec<_> = there.drain(..too_old.max(too_many)).collect();
        there.push(Idle { connection, since });
        drop(idle);
        drop(ended);
    }

    fn idle(&self) -> MutexGuard<'_, HashMap<Arc<str>, Vec<Idle>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request as it stands on the wire: the path alone, and who is asked in a header.
fn as_sent(request: &mut Request<SdkBody>) -> Result<(), Failure> {
    let uri = request.uri();
    let authority = uri.authority().ok_or(Failure::Url)?;
    let is_default = match authority.port_u16() {
        Some(80) => uri.scheme() == Some(&Scheme::HTTP),
        Some(443) => uri.scheme() == Some(&Scheme::HTTPS),
        _ => false,
    };
    let host = match is_default {
        true => authority.host(),
        // Without what a URL may say of a user.
        false => authority.as_str().rsplit('@').next().unwrap_or_default(),
    };
    let host = HeaderValue::from_str(host).map_err(|_| Failure::Url)?;
    let path = uri.path_and_query().cloned();
    let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
    *request.uri_mut() = path.into();
    request.headers_mut().entry(header::HOST).or_insert(host);
    Ok(())
}

#[cfg(test)]
mod tests;
