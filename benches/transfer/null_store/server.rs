//! The part of S3 that the SDK needs to put, get, list and delete objects, without the objects.
//!
//! Bodies are read and dropped; what is remembered, by key, is what a careful client looks at: size, metadata, and an ETag
//! that is the MD5 of a small object. What is read back is the pattern. An operation that is not known is answered 501, so
//! that a need for it shows at once.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName};
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use md5::{Digest, Md5};
use percent_encoding::percent_decode_str;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::throttle::Throttle;
use crate::pattern::Pattern;
use crate::setup::hex;

/// Where the count of bytes taken so far is told; no bucket has such a name.
pub const TAKEN_PATH: &str = "/-/taken";

/// The ETag of parts, and of objects that were sent in parts or are large: no MD5, as it is with S3.
const ETAG: &str = "\"0123456789abcdef0123456789abcdef-1\"";

/// Up to how many bytes an object's ETag is its MD5: more would cost the bench the time that it measures.
const HASHED: u64 = 16 << 20;

/// What the names of headers begin with that hold an object's metadata.
const METADATA: &str = "x-amz-meta-";

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
    /// By path: bucket and key.
    objects: BTreeMap<String, Object>,
    /// Open multipart uploads by id.
    uploads: HashMap<String, Upload>,
    last_upload: u64,
    taken_bytes: u64,
}

#[derive(Debug)]
struct Object {
    /// In bytes.
    size: u64,
    etag: String,
    metadata: HeaderMap,
}

#[derive(Debug)]
struct Upload {
    metadata: HeaderMap,
    /// Sizes of parts in bytes, by part number.
    parts: BTreeMap<String, u64>,
}

/// What is known of a body after it was dropped.
struct Dropped {
    /// In bytes.
    size: u64,
    etag: String,
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
        let dropped = self
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
            (&Method::PUT, true, Some(upload)) => self.put_part(upload, &query, dropped.size),
            (&Method::PUT, true, None) => {
                let answer = etag_only(&dropped.etag);
                let object = Object {
                    size: dropped.size,
                    etag: dropped.etag,
                    metadata: metadata_in(&head.headers),
                };
                self.contents().objects.insert(path.to_owned(), object);
                answer
            }
            (&Method::POST, true, None) if query.has("uploads") => {
                self.create_upload(metadata_in(&head.headers))
            }
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

    /// Reads a body to its end.
    async fn drop_body(
        &self,
        mut body: Incoming,
        is_content: bool,
    ) -> Result<Dropped, hyper::Error> {
        let mut size = 0;
        let is_hashed = is_content && body.size_hint().exact().is_some_and(|size| size <= HASHED);
        let mut md5 = is_hashed.then(Md5::new);
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else {
                continue;
            };
            let len = data.len();
            size += len as u64;
            if let Some(md5) = &mut md5 {
                md5.update(&data);
            }
            if is_content {
                if let Some(throttle) = &self.throttle {
                    throttle.pass(len).await;
                }
                self.contents().taken_bytes += len as u64;
            }
        }
        let etag = md5.map_or_else(
            || ETAG.to_owned(),
            |md5| format!("\"{}\"", hex(&md5.finalize())),
        );
        Ok(Dropped { size, etag })
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn list(&self, path: &str, query: &Query<'_>) -> Answer {
        let bucket = format!("{}/", path.trim_end_matches('/'));
        let prefix = query.get("prefix").unwrap_or_default();
        let prefix = percent_decode_str(prefix).decode_utf8_lossy();
        let mut keys = String::new();
        for (path, Object { size, etag, .. }) in &self.contents().objects {
            if let Some(key) = path.strip_prefix(&bucket)
                && key.starts_with(&*prefix)
            {
                keys += &format!(
                    "<Contents><Key>{key}</Key><Size>{size}</Size><ETag>{etag}</ETag>\
                     <LastModified>{MODIFIED_XML}</LastModified></Contents>"
                );
            }
        }
        text(format!(
            "<ListBucketResult><IsTruncated>false</IsTruncated>{keys}</ListBucketResult>"
        ))
    }

    fn create_upload(&self, metadata: HeaderMap) -> Answer {
        let mut contents = self.contents();
        contents.last_upload += 1;
        let upload = format!("upload-{}", contents.last_upload);
        let new = Upload {
            metadata,
            parts: BTreeMap::new(),
        };
        contents.uploads.insert(upload.clone(), new);
        text(format!(
            "<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>"
        ))
    }

    fn put_part(&self, upload: &str, query: &Query<'_>, size: u64) -> Answer {
        let Some(number) = query.get("partNumber") else {
            return error(StatusCode::BAD_REQUEST, "InvalidArgument");
        };
        match self.contents().uploads.get_mut(upload) {
            Some(upload) => {
                upload.parts.insert(number.to_owned(), size);
                etag_only(ETAG)
            }
            None => error(StatusCode::NOT_FOUND, "NoSuchUpload"),
        }
    }

    fn complete(&self, path: &str, upload: &str) -> Answer {
        let mut contents = self.contents();
        let Some(upload) = contents.uploads.remove(upload) else {
            return error(StatusCode::NOT_FOUND, "NoSuchUpload");
        };
        let object = Object {
            size: upload.parts.values().sum(),
            etag: ETAG.to_owned(),
            metadata: upload.metadata,
        };
        contents.objects.insert(path.to_owned(), object);
        text(format!(
            "<CompleteMultipartUploadResult><ETag>{ETAG}</ETag></CompleteMultipartUploadResult>"
        ))
    }

    fn get(&self, path: &str, headers: &HeaderMap, is_head: bool) -> Answer {
        let contents = self.contents();
        let Some(object) = contents.objects.get(path) else {
            return error(StatusCode::NOT_FOUND, "NoSuchKey");
        };
        let size = object.size;
        let header = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        if let Some(wanted) = header(header::IF_MATCH)
            && wanted.trim_matches('"') != object.etag.trim_matches('"')
        {
            return error(StatusCode::PRECONDITION_FAILED, "PreconditionFailed");
        }
        let mut answer = Response::builder()
            .header(header::ETAG, &object.etag)
            .header(header::LAST_MODIFIED, MODIFIED_HTTP)
            .header(header::ACCEPT_RANGES, "bytes")
            .header(header::CONTENT_TYPE, "application/octet-stream");
        for (name, value) in &object.metadata {
            answer = answer.header(name, value);
        }
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

/// Those of a request's headers that an object keeps.
fn metadata_in(headers: &HeaderMap) -> HeaderMap {
    let is_kept = |(name, _): &(&HeaderName, _)| name.as_str().starts_with(METADATA);
    let kept = headers.iter().filter(is_kept);
    kept.map(|(name, value)| (name.clone(), value.clone()))
        .collect()
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

fn etag_only(etag: &str) -> Answer {
    respond(Response::builder().header(header::ETAG, etag), "")
}

fn text(body: impl Into<Bytes>) -> Answer {
    respond(Response::builder(), body)
}

fn error(status: StatusCode, code: &str) -> Answer {
    let body = format!("<Error><Code>{code}</Code><Message>{code}</Message></Error>");
    respond(Response::builder().status(status), body)
}
