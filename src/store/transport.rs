//! HTTP to a store: what the transport of the SDK does, and a bound on what a connection buffers, for which that one has no
//! setting: where a store is fast hyper reads up to 400 KiB at once, and ahead as well.

mod flow;

use std::error::Error as StdError;
use std::time::Duration;

use aws_sdk_s3::config::SharedHttpClient;
use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_runtime_api::client::connection::{CaptureSmithyConnection, ConnectionMetadata};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::retry::ErrorKind;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::{
    CaptureConnection, HttpConnector as TcpConnector, capture_connection,
};
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tower::ServiceExt;
use tower::util::MapResponse;

use flow::{Asked, Flow, Stream};

/// Idle connections kept per store: enough for the parts of a few uploads, few enough for small stores.
const IDLE_CONNECTIONS: usize = 64;
const IDLE_CONNECTION_LIFE: Duration = Duration::from_secs(20);

/// The most that is read from a store at once, bytes: what a client that stops taking its download holds, and little more.
const BUFFER: usize = 80 * 1024;

type Socket = MaybeHttpsStream<TokioIo<TcpStream>>;
type Connector = MapResponse<HttpsConnector<TcpConnector>, fn(Socket) -> Stream<Socket>>;

/// The connections to a store.
#[derive(Debug, Clone)]
struct Transport {
    client: Client<Connector, SdkBody>,
}

/// The connections, for requests with the limits of one kind.
#[derive(Debug)]
struct Limited {
    client: Client<Connector, SdkBody>,
    /// How long the head of an answer may take, connecting included.
    read_timeout: Option<Duration>,
}

/// A transport with connections of its own.
pub(super) fn transport(tls: ClientConfig, connect_timeout: Duration) -> SharedHttpClient {
    let mut connector = TcpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(connect_timeout));
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(connector)
        .map_response(Stream::new as fn(Socket) -> Stream<Socket>);
    let client = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_CONNECTION_LIFE)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .http1_max_buf_size(BUFFER)
        .build(connector);
    SharedHttpClient::new(Transport { client })
}

impl HttpClient for Transport {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Limited {
            client: self.client.clone(),
            read_timeout: settings.read_timeout(),
        })
    }
}

impl HttpConnector for Limited {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(e) => return HttpConnectorFuture::ready(Err(ConnectorError::user(e.into()))),
        };
        let connection = capture_connection(&mut request);
        if let Some(capture) = request.extensions().get::<CaptureSmithyConnection>() {
            capture.set_connection_retriever(move || metadata_of(&connection));
        }
        let answered = self.client.request(request);
        let read_timeout = self.read_timeout;
        HttpConnectorFuture::new(async move {
            let answered = match read_timeout {
                Some(limit) => tokio::time::timeout(limit, answered)
                    .await
                    .map_err(|elapsed| ConnectorError::timeout(elapsed.into()))?,
                None => answered.await,
            };
            let answer = answered.map_err(classified)?;
            HttpResponse::try_from(when_asked(answer))
                .map_err(|e| ConnectorError::other(e.into(), None))
        })
    }
}

/// The answer, its body read as it is asked for.
fn when_asked(mut answer: http::Response<Incoming>) -> http::Response<SdkBody> {
    let flow = answer.extensions_mut().remove::<Flow>();
    answer.map(|body| match flow {
        Some(flow) => SdkBody::from_body_1_x(Asked::new(body, flow)),
        None => SdkBody::from_body_1_x(body),
    })
}

/// By which the SDK keeps a connection from being used again over which a passing failure came.
fn metadata_of(connection: &CaptureConnection) -> Option<ConnectionMetadata> {
    connection.connection_metadata().as_ref()?;
    let connection = connection.clone();
    let poison = move || {
        if let Some(connected) = connection.connection_metadata().as_ref() {
            connected.poison();
        }
    };
    Some(
        ConnectionMetadata::builder()
            .proxied(false)
            .poison_fn(poison)
            .build(),
    )
}

/// What the SDK has to know of a failure to try the request again, or not.
fn classified(e: Error) -> ConnectorError {
    let hyper = find_source::<hyper::Error>(&e);
    if hyper.is_some_and(hyper::Error::is_timeout) {
        return ConnectorError::timeout(e.into());
    }
    if hyper.is_some_and(hyper::Error::is_user) {
        return ConnectorError::user(e.into());
    }
    let is_closed = hyper.is_some_and(|e| e.is_closed() || e.is_canceled());
    if e.is_connect() || is_closed || find_source::<std::io::Error>(&e).is_some() {
        return ConnectorError::io(e.into());
    }
    // The connection ended before the answer began.
    let is_passing = hyper.is_some_and(hyper::Error::is_incomplete_message);
    ConnectorError::other(e.into(), is_passing.then_some(ErrorKind::TransientError))
}

fn find_source<'a, E: StdError + 'static>(e: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    std::iter::successors(Some(e), |&e| e.source()).find_map(|e| e.downcast_ref())
}
