//! A proxy between service and store that breaks what it is told to, on the wire.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST};
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

type Error = Box<dyn std::error::Error + Send + Sync>;
type Body = UnsyncBoxBody<Bytes, Error>;

/// What goes wrong with a request.
#[derive(Debug, Clone)]
pub enum Fault {
    /// An S3 error answer; the request does not reach the store.
    Answer(StatusCode, &'static str),
    /// The answer comes late.
    Delay(Duration),
    /// The request reaches the store only when the test says so, even if its sender has given up by then: what is on
    /// the wire stays there. Not for requests with a body.
    Hold(Arc<Notify>),
    /// The request never gets an answer (the connection stays open).
    Hang,
    /// The connection breaks before any answer; the store never sees the request.
    Refuse,
    /// The store does its work, but the answer is lost.
    LoseAnswer,
    /// The answer's body breaks off after so many bytes.
    ResetAfter(u64),
    /// The answer's body pauses for ever after so many bytes.
    StallAfter(u64),
    /// The answer's body ends cleanly after so many bytes, without a length.
    EndAfter(u64),
    /// The answer claims and carries fewer bytes than the store sent.
    Shorten(u64),
}

/// Told method and path-with-query.
type Matcher = Box<dyn Fn(&str, &str) -> bool + Send>;

struct Rule {
    matches: Matcher,
    fault: Fault,
    /// Requests to let through before, and to break after that.
    skip: usize,
    times: usize,
}

#[derive(Default)]
struct Script {
    rules: Vec<Rule>,
    seen: Vec<String>,
}

pub struct FaultProxy {
    addr: SocketAddr,
    script: Arc<Mutex<Script>>,
    serving: JoinHandle<()>,
}

impl FaultProxy {
    /// Starts a proxy to the store at `url` (`http://host:port`).
    pub async fn start(url: &str) -> Self {
        let target = url
            .strip_prefix("http://")
            .unwrap()
            .trim_end_matches('/')
            .to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let script = Arc::new(Mutex::new(Script::default()));
        let pool: Pool<HttpConnector, Incoming> = Pool::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build_http();
        let shared = Arc::clone(&script);
        #[expect(clippy::disallowed_methods, reason = "ended by Drop")]
        let serving = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (script, pool, target) = (Arc::clone(&shared), pool.clone(), target.clone());
                let service = service_fn(move |request| {
                    forward(request, Arc::clone(&script), pool.clone(), target.clone())
                });
                connections.spawn(async move {
                    let _ = http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self {
            addr,
            script,
            serving,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Breaks the `times` requests after the first `skip` whose method and path-with-query fit.
    pub fn fail(
        &self,
        matches: impl Fn(&str, &str) -> bool + Send + 'static,
        fault: Fault,
        skip: usize,
        times: usize,
    ) {
        self.script.lock().unwrap().rules.push(Rule {
            matches: Box::new(matches),
            fault,
            skip,
            times,
        });
    }

    /// Breaks requests of an S3 operation, see [`is`].
    pub fn fail_operation(&self, operation: &'static str, fault: Fault, skip: usize, times: usize) {
        self.fail(
            move |method, path| is(operation, method, path),
            fault,
            skip,
            times,
        );
    }

    /// Forgets every rule.
    pub fn heal(&self) {
        self.script.lock().unwrap().rules.clear();
    }

    /// Method and path-with-query of every request so far.
    pub fn seen(&self) -> Vec<String> {
        self.script.lock().unwrap().seen.clone()
    }

    /// How many requests of an operation have come so far.
    pub fn count(&self, operation: &str) -> usize {
        self.seen()
            .iter()
            .filter(|line| {
                line.split_once(' ')
                    .is_some_and(|(m, p)| is(operation, m, p))
            })
            .count()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// The method of a PUT that has an object of the store for a body.
const COPY: &str = "COPY";

/// Whether a request is of the S3 operation: `put`, `copy`, `get`, `head`, `delete`, `create_upload`, `part`,
/// `second_part`, `copy_part`, `complete`, `abort`, `list_uploads`.
pub fn is(operation: &str, method: &str, path: &str) -> bool {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let is_object = path.trim_matches('/').contains('/');
    let has = |key: &str| {
        query
            .split('&')
            .any(|pair| pair.split('=').next() == Some(key))
    };
    match operation {
        "part" => method == "PUT" && has("partNumber"),
        "second_part" => method == "PUT" && query.split('&').any(|pair| pair == "partNumber=2"),
        "put" => method == "PUT" && is_object && !has("partNumber"),
        "copy" => method == COPY && !has("partNumber"),
        "copy_part" => method == COPY && has("partNumber"),
        "get" => method == "GET" && is_object,
        "head" => method == "HEAD" && is_object,
        "delete" => method == "DELETE" && !has("uploadId"),
        "abort" => method == "DELETE" && has("uploadId"),
        "create_upload" => method == "POST" && has("uploads"),
        "complete" => method == "POST" && has("uploadId"),
        "list_uploads" => method == "GET" && has("uploads"),
        other => panic!("no such operation: {other}"),
    }
}

async fn forward(
    mut request: Request<Incoming>,
    script: Arc<Mutex<Script>>,
    pool: Pool<HttpConnector, Incoming>,
    target: String,
) -> Result<Response<Body>, Error> {
    let method = match request.headers().contains_key("x-amz-copy-source") {
        true => COPY.to_owned(),
        false => request.method().to_string(),
    };
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str())
        .to_owned();
    let fault = next_fault(&script, &method, &path);
    match &fault {
        Some(Fault::Answer(status, code)) => {
            // Read what the client sends, as real stores do, so that it sees the answer.
            #[expect(clippy::disallowed_methods, reason = "one part of a test image")]
            let _ = request.body_mut().collect().await;
            let xml = format!(
                "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>scripted</Message></Error>"
            );
            let mut response = Response::new(
                Full::from(xml)
                    .map_err(|never| match never {})
                    .boxed_unsync(),
            );
            *response.status_mut() = *status;
            return Ok(response);
        }
        Some(Fault::Hang) => return std::future::pending().await,
        Some(Fault::Refuse) => return Err("scripted".into()),
        Some(Fault::Delay(pause)) => tokio::time::sleep(*pause).await,
        _ => {}
    }
    // The signature covers the Host header, so it stays as the client sent it.
    debug_assert!(request.headers().contains_key(HOST));
    *request.uri_mut() = format!("http://{target}{path}").parse()?;
    let answer = match &fault {
        Some(Fault::Hold(release)) => {
            let release = Arc::clone(release);
            #[expect(clippy::disallowed_methods, reason = "it outlives its sender")]
            let sending = tokio::spawn(async move {
                release.notified().await;
                pool.request(request).await
            });
            sending.await?
        }
        _ => pool.request(request).await,
    };
    let (mut parts, body) = answer?.into_parts();
    let body = match fault {
        Some(Fault::LoseAnswer) => return Err("scripted".into()),
        Some(Fault::ResetAfter(bytes)) => cut(body, bytes, End::Reset),
        Some(Fault::StallAfter(bytes)) => cut(body, bytes, End::Never),
        Some(Fault::EndAfter(bytes)) => {
            parts.headers.remove(CONTENT_LENGTH);
            cut(body, bytes, End::Clean)
        }
        Some(Fault::Shorten(bytes)) => {
            parts.headers.insert(CONTENT_LENGTH, bytes.into());
            cut(body, bytes, End::Clean)
        }
        _ => body.map_err(Error::from).boxed_unsync(),
    };
    Ok(Response::from_parts(parts, body))
}

fn next_fault(script: &Mutex<Script>, method: &str, path: &str) -> Option<Fault> {
    let mut script = script.lock().unwrap();
    script.seen.push(format!("{method} {path}"));
    for rule in &mut script.rules {
        if rule.times > 0 && (rule.matches)(method, path) {
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            rule.times -= 1;
            return Some(rule.fault.clone());
        }
    }
    None
}

/// What follows the bytes that are let through.
#[derive(Clone, Copy)]
enum End {
    Reset,
    Clean,
    Never,
}

/// The first `bytes` of a body, then the end.
fn cut(body: Incoming, bytes: u64, end: End) -> Body {
    let stream = futures_util::stream::unfold((body, bytes), move |(mut body, left)| async move {
        if left == 0 {
            return match end {
                End::Reset => Some((Err(Error::from("scripted")), (body, u64::MAX))),
                End::Clean => None,
                End::Never => std::future::pending().await,
            };
        }
        let frame = loop {
            match body.frame().await? {
                Ok(frame) => match frame.into_data() {
                    Ok(data) => break data,
                    Err(_) => continue,
                },
                Err(e) => return Some((Err(Error::from(e)), (body, u64::MAX))),
            }
        };
        let taken = frame.slice(..frame.len().min(usize::try_from(left).unwrap()));
        let left = left - taken.len() as u64;
        Some((Ok(Frame::data(taken)), (body, left)))
    });
    StreamBody::new(stream).boxed_unsync()
}
