//! A plain HTTP client that hides nothing, and a raw socket for what a client must not do.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// A body of known length.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// A body without a length: sent chunked.
pub fn chunked(chunks: Vec<Bytes>) -> Body {
    let frames = chunks
        .into_iter()
        .map(|chunk| Ok(http_body::Frame::data(chunk)));
    http_body_util::StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync()
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {:?}", self.body))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

#[derive(Clone)]
pub struct Client {
    pool: Pool<HttpConnector, Body>,
    pub addr: SocketAddr,
    token: Option<String>,
}

impl Client {
    pub fn new(addr: SocketAddr) -> Self {
        Self {
            pool: Pool::builder(TokioExecutor::new()).build_http(),
            addr,
            token: None,
        }
    }

    /// The same client with an `X-Auth-Token`.
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            ..self.clone()
        }
    }

    /// Sends a request and leaves the body of the answer on the wire.
    pub async fn open(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Body,
    ) -> Result<http::Response<hyper::body::Incoming>, hyper_util::client::legacy::Error> {
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = format!("http://{}{path}", self.addr).parse().unwrap();
        if let Some(token) = &self.token {
            request
                .headers_mut()
                .insert("x-auth-token", HeaderValue::from_str(token).unwrap());
        }
        for (name, value) in headers {
            request.headers_mut().append(
                name.parse::<HeaderName>().unwrap(),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        self.pool.request(request).await
    }

    /// Sends a request and reads the answer whole; panics when the connection breaks.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Body,
    ) -> Answer {
        let (parts, body) = self
            .open(method, path, headers, body)
            .await
            .unwrap()
            .into_parts();
        #[expect(clippy::disallowed_methods, reason = "test images are small")]
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], full("")).await
    }

    pub async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(Method::GET, path, headers, full("")).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, &[], full("")).await
    }

    pub async fn post_json(&self, path: &str, body: &Value) -> Answer {
        self.send(
            Method::POST,
            path,
            &[("accept", "application/json")],
            full(body.to_string()),
        )
        .await
    }

    /// `PUT /v2/images/{id}/file` with a body and the right content type.
    pub async fn put_file(&self, id: &str, headers: &[(&str, &str)], body: Body) -> Answer {
        let mut all = vec![
            ("content-type", "application/octet-stream"),
            ("accept", "application/json"),
        ];
        all.extend_from_slice(headers);
        self.send(Method::PUT, &format!("/v2/images/{id}/file"), &all, body)
            .await
    }

    /// A new raw/bare image record; gives its id.
    pub async fn create_image(&self) -> String {
        self.create(
            &serde_json::json!({"name": "t", "disk_format": "raw", "container_format": "bare"}),
        )
        .await
    }

    /// A new image record of that body; gives its id.
    pub async fn create(&self, body: &Value) -> String {
        let answer = self.post_json("/v2/images", body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    /// A new active image with these bytes; gives its id.
    pub async fn upload(&self, bytes: Bytes) -> String {
        let id = self.create_image().await;
        let answer = self.put_file(&id, &[], full(bytes)).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text());
        id
    }

    /// The record of an image.
    pub async fn image(&self, id: &str) -> Value {
        let answer = self.get(&format!("/v2/images/{id}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        answer.json()
    }

    /// `image["status"]`.
    pub async fn status(&self, id: &str) -> String {
        self.image(id).await["status"].as_str().unwrap().to_owned()
    }

    pub async fn raw(&self) -> Raw {
        Raw(TcpStream::connect(self.addr).await.unwrap())
    }
}

/// `PATCH` of an image in the dialect of today's clients.
pub async fn patch(client: &Client, path: &str, body: Value) -> Answer {
    let headers = [
        (
            "content-type",
            "application/openstack-images-v2.1-json-patch",
        ),
        ("accept", "application/json"),
    ];
    client
        .send(Method::PATCH, path, &headers, full(body.to_string()))
        .await
}

/// A connection under full control.
pub struct Raw(pub TcpStream);

impl Raw {
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Reads up to and including the empty line after the head of an answer.
    pub async fn read_head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.unwrap());
        }
        String::from_utf8(head).unwrap()
    }

    /// Reads until the other side closes; a reset counts as a close.
    pub async fn read_to_close(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        let _ = self.0.read_to_end(&mut all).await;
        all
    }
}
