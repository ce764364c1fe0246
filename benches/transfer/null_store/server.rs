//! The part of S3 that the SDK needs to put, get, list and delete objects, without the objects.
//!
//! Bodies are read and dropped; only their sizes are remembered, by key. What is read back is the pattern. An
//! operation that is not known is answered 501, so that a need for it shows at once.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName};
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::throttle::Throttle;
use crate::pattern::Pattern;

/// Where the count of bytes taken so far is told; no bucket has such a name.
pub const TAKEN_PATH: &str = "/-/taken";

/// The ETag of every object and part.
const ETAG: &str = "\"0123456789abcdef0123456789abcdef\"";

/// When every object was last modified, in the two formats of S3.
const MODIFIED_HTTP: &str = "Thu, 01 Jan 2026 00:00:00 GMT";
const MODIFIED_XML: &str = "2026-01-01T00:00:00.000Z";

/// How much a throttled connection reads at once, in bytes: little, so that many connections take turns quickly.
const THROTTLED_READ: usize = 64 << 10;

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

#[derive(Debug)]
struct Server {
    pattern: Pattern,
    throttle: Option<Throttle>,
    contents: Mutex<Contents>,
}

#[derive(Debug, Default)]
struct Contents {
    /// Sizes of objects in bytes, by path: bucket and key.
    objects: BTreeMap<String, u64>,
    /// Open multipart uploads by id: sizes of parts in bytes, by part number.
    uploads: HashMap<String, BTreeMap<String, u64>>,
    last_upload: u64,
    taken_bytes: u64,
}

/// Serves until dropped.
pub async fn serve(listener: TcpListener, throttle: Option<Throttle>) {
    let mut http = http1::Builder::new();
    if throttle.is_some() {
        http.max_buf_size(THROTTLED_READ);
    }
    let server = Arc::new(Server {
        pattern: Pattern::new(),
        throttle,
        contents: Mutex::default(),
    });
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                // Without it the last piece of an answer may wait for an acknowledgement.
                let _ = stream.set_nodelay(true);
                let server = Arc::clone(&server);
                let service = service_fn(move |request| {
                    let server = Arc::clone(&server);
                    async move { server.answer(request).await }
                });
                // A connection that breaks is the client's affair.
                connections.spawn(http.serve_connection(TokioIo::new(stream), service));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

impl Server {
    /// Answers one request.
    ///
    /// # Errors
    /// If the request's body breaks off: then the connection is of no more use.
    async fn answer(&self, request: Request<Incoming>) -> Result<Answer, hyper::Error> {
        let (head, body) = request.into_parts();
        let path = head.uri.path();
        let query = Query(head.uri.query().unwrap_or_default());
        let is_object = path[1..].trim_end_matches('/').contains('/');
        // Read and drop, whatever it is.
        let size = self
            .drop_body(body, is_object && head.method == Method::PUT)
            .await?;

        if path == TAKEN_PATH {
            return Ok(text(self.contents().taken_bytes.to_string()));
        }
        let upload = query.get("uploadId");
        Ok(match (&head.method, is_object, upload) {
            (&Method::HEAD | &Method::PUT, false, _) => empty(StatusCode::OK),
            (&Method::GET, false, _) if query.has("uploads") => text(
                "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>",
            ),
            (&Method::GET, false, _) if query.has("list-type") => self.list(path, &query),
            (&Method::PUT, true, Some(upload)) => self.put_part(upload, &query, size),
            (&Method::PUT, true, None) => {
                self.contents().objects.insert(path.to_owned(), size);
                etag_only()
            }
            (&Method::POST, true, None) if query.has("uploads") => self.create_upload(),
            (&Method::POST, true, Some(upload)) => self.complete(path, upload),
            (&Method::DELETE, true, Some(upload)) => match self.contents().uploads.remove(upload) {
                Some(_) => empty(StatusCode::NO_CONTENT),
                None => error(StatusCode::NOT_FOUND, "NoSuchUpload"),
            },
            (&Method::DELETE, true, None) => {
                self.contents().objects.remove(path);
                empty(StatusCode::NO_CONTENT)
            }
            (&Method::GET | &Method::HEAD, true, None) => {
                self.get(path, &head.headers, head.method == Method::HEAD)
            }
            _ => error(StatusCode::NOT_IMPLEMENTED, "NotImplemented"),
        })
    }

    /// Reads a body to its end and returns its size in bytes.
    async fn drop_body(&self, mut body: Incoming, is_content: bool) -> Result<u64, hyper::Error> {
        let mut size = 0;
        while let Some(frame) = body.frame().await {
            let Some(len) = frame?.data_ref().map(Bytes::len) else {
                continue;
            };
            size += len as u64;
            if is_content {
                if let Some(throttle) = &self.throttle {
                    throttle.pass(len).await;
                }
                self.contents().taken_bytes += len as u64;
            }
        }
        Ok(size)
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn list(&self, path: &str, query: &Query<'_>) -> Answer {
        let bucket = format!("{}/", path.trim_end_matches('/'));
        let prefix = query.get("prefix").unwrap_or_default();
        let prefix = percent_decode_str(prefix).decode_utf8_lossy();
        let mut keys = String::new();
        for (path, size) in &self.contents().objects {
            if let Some(key) = path.strip_prefix(&bucket)
                && key.starts_with(&*prefix)
            {
                keys += &format!(
                    "<Contents><Key>{key}</Key><Size>{size}</Size><ETag>{ETAG}</ETag>\
                     <LastModified>{MODIFIED_XML}</LastModified></Contents>"
                );
            }
        }
        text(format!(
            "<ListBucketResult><IsTruncated>false</IsTruncated>{keys}</ListBucketResult>"
        ))
    }

    fn create_upload(&self) -> Answer {
        let mut contents = self.contents();
        contents.last_upload += 1;
        let upload = format!("upload-{}", contents.last_upload);
        contents.uploads.insert(upload.clone(), BTreeMap::new());
        text(format!(
            "<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>"
        ))
    }

    fn put_part(&self, upload: &str, query: &Query<'_>, size: u64) -> Answer {
        let Some(number) = query.get("partNumber") else {
            return error(StatusCode::BAD_REQUEST, "InvalidArgument");
        };
        match self.contents().uploads.get_mut(upload) {
            Some(parts) => {
                parts.insert(number.to_owned(), size);
                etag_only()
            }
            None => error(StatusCode::NOT_FOUND, "NoSuchUpload"),
        }
    }

    fn complete(&self, path: &str, upload: &str) -> Answer {
        let mut contents = self.contents();
        let Some(parts) = contents.uploads.remove(upload) else {
            return error(StatusCode::NOT_FOUND, "NoSuchUpload");
        };
        contents
            .objects
            .insert(path.to_owned(), parts.values().sum());
        text(format!(
            "<CompleteMultipartUploadResult><ETag>{ETAG}</ETag></CompleteMultipartUploadResult>"
        ))
    }

    fn get(&self, path: &str, headers: &HeaderMap, is_head: bool) -> Answer {
        let Some(size) = self.contents().objects.get(path).copied() else {
            return error(StatusCode::NOT_FOUND, "NoSuchKey");
        };
        let header = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        if let Some(wanted) = header(header::IF_MATCH)
            && wanted.trim_matches('"') != ETAG.trim_matches('"')
        {
            return error(StatusCode::PRECONDITION_FAILED, "PreconditionFailed");
        }
        let answer = Response::builder()
            .header(header::ETAG, ETAG)
            .header(header::LAST_MODIFIED, MODIFIED_HTTP)
            .header(header::ACCEPT_RANGES, "bytes")
            .header(header::CONTENT_TYPE, "application/octet-stream");
        let (answer, range) = match header(header::RANGE) {
            None => (answer, 0..size),
            Some(range) => match parse_range(range, size) {
                Some(range) => {
                    let content_range = format!("bytes {}-{}/{size}", range.start, range.end - 1);
                    let answer = answer
                        .status(StatusCode::PARTIAL_CONTENT)
                        .header(header::CONTENT_RANGE, content_range);
                    (answer, range)
                }
                None => return error(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange"),
            },
        };
        let answer = answer.header(header::CONTENT_LENGTH, range.end - range.start);
        let body = if is_head {
            Empty::new().boxed_unsync()
        } else {
            self.pattern.body(range).boxed_unsync()
        };
        answer.body(body).expect("every header is made of ASCII")
    }
}

/// The query of a request, still encoded: upload ids and part numbers have nothing to decode.
struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    fn get(&self, name: &str) -> Option<&'a str> {
        let mut pairs = self.0.split('&');
        pairs.find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }

    fn has(&self, name: &str) -> bool {
        self.0.split('&').any(|pair| pair == name) || self.get(name).is_some()
    }
}

/// Reads one range of a `Range` header and fits it to the object; `None` if none of it is in the object.
fn parse_range(header: &str, size: u64) -> Option<Range<u64>> {
    let (first, last) = header.strip_prefix("bytes=")?.split_once('-')?;
    let range = match (first, last) {
        ("", suffix) => size.saturating_sub(suffix.parse().ok()?)..size,
        (first, "") => first.parse().ok()?..size,
        (first, last) => first.parse().ok()?..size.min(last.parse::<u64>().ok()?.checked_add(1)?),
    };
    (!range.is_empty()).then_some(range)
}

fn respond(builder: http::response::Builder, body: impl Into<Bytes>) -> Answer {
    let body = Full::new(body.into()).boxed_unsync();
    builder.body(body).expect("every header is made of ASCII")
}

fn empty(status: StatusCode) -> Answer {
    respond(Response::builder().status(status), "")
}

fn etag_only() -> Answer {
    respond(Response::builder().header(header::ETAG, ETAG), "")
}

fn text(body: impl Into<Bytes>) -> Answer {
    respond(Response::builder(), body)
}

fn error(status: StatusCode, code: &str) -> Answer {
    let body = format!("<Error><Code>{code}</Code><Message>{code}</Message></Error>");
    respond(Response::builder().status(status), body)
}
