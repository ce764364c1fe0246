//! HTTP to a store: what the transport of the SDK does, and a bound on what a connection holds, for which that one has no
//! setting: where a store is fast hyper reads up to 400 KiB at once, and ahead as well.

mod connection;
mod pool;

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::config::SharedHttpClient;
use aws_smithy_runtime_api::client::connection::{CaptureSmithyConnection, ConnectionMetadata};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::retry::ErrorKind;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector as TcpConnector;
use rustls::ClientConfig;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use pool::{Failure, Home, Pool};

/// The connections to a store.
#[derive(Clone)]
struct Transport {
    pool: Arc<Pool>,
}

/// The connections, for requests with the limits of one kind.
struct Limited {
    pool: Arc<Pool>,
    /// How long the head of an answer may take, connecting included.
    read_timeout: Option<Duration>,
}

/// A transport with connections of its own.
pub(super) fn transport(tls: ClientConfig, connect_timeout: Duration) -> SharedHttpClient {
    SharedHttpClient::new(Transport {
        pool: Arc::new(Pool::new(connector(tls, connect_timeout))),
    })
}

/// Makes connections, plain and TLS.
fn connector(tls: ClientConfig, connect_timeout: Duration) -> HttpsConnector<TcpConnector> {
    let mut connector = TcpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(connect_timeout));
    HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(connector)
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transport")
    }
}

impl fmt::Debug for Limited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limited")
            .field("read_timeout", &self.read_timeout)
            .finish_non_exhaustive()
    }
}

impl HttpClient for Transport {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Limited {
            pool: Arc::clone(&self.pool),
            read_timeout: settings.read_timeout(),
        })
    }
}

impl HttpConnector for Limited {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(e) => return HttpConnectorFuture::ready(Err(ConnectorError::user(e.into()))),
        };
        let home = match Pool::home(request.uri()) {
            Ok(home) => home,
            Err(e) => return HttpConnectorFuture::ready(Err(classified(e))),
        };
        if let Some(capture) = request.extensions().get::<CaptureSmithyConnection>() {
            let home = home.clone();
            capture.set_connection_retriever(move || Some(metadata_of(&home)));
        }
        let has_data = request.body().content_length() != Some(0);
        let answered = Arc::clone(&self.pool).request(request, home);
        let read_timeout = self.read_timeout;
        HttpConnectorFuture::new(async move {
            // Data is sent beside the task that makes it.
            let answered = async {
                if has_data {
                    let sending = AbortOnDropHandle::new(TaskTracker::new().spawn(answered));
                    sending
                        .await
                        .map_err(|e| ConnectorError::other(e.into(), None))?
                } else {
                    answered.await
                }
                .map_err(classified)
            };
            let answer = match read_timeout {
                Some(limit) => tokio::time::timeout(limit, answered)
                    .await
                    .map_err(|elapsed| ConnectorError::timeout(elapsed.into()))?,
                None => answered.await,
            }?;
            HttpResponse::try_from(answer).map_err(|e| ConnectorError::other(e.into(), None))
        })
    }
}

/// By which the SDK keeps a connection from being used again over which a passing failure came.
fn metadata_of(home: &Home) -> ConnectionMetadata {
    let home = home.clone();
    ConnectionMetadata::builder()
        .proxied(false)
        .poison_fn(move || home.poison())
        .build()
}

/// What the SDK has to know of a failure to try the request again, or not.
fn classified(e: Failure) -> ConnectorError {
    let hyper = find_source::<hyper::Error>(&e);
    if hyper.is_some_and(hyper::Error::is_timeout) {
        return ConnectorError::timeout(e.into());
    }
    if hyper.is_some_and(hyper::Error::is_user) {
        return ConnectorError::user(e.into());
    }
    let is_closed = hyper.is_some_and(|e| e.is_closed() || e.is_canceled());
    if matches!(e, Failure::Url) {
        return ConnectorError::user(e.into());
    }
    if matches!(e, Failure::Connect(_)) || is_closed || find_source::<std::io::Error>(&e).is_some()
    {
        return ConnectorError::io(e.into());
    }
    // The connection ended before the answer began.
    let is_passing = hyper.is_some_and(hyper::Error::is_incomplete_message);
    ConnectorError::other(e.into(), is_passing.then_some(ErrorKind::TransientError))
}

fn find_source<'a, E: StdError + 'static>(e: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    std::iter::successors(Some(e), |&e| e.source()).find_map(|e| e.downcast_ref())
}
