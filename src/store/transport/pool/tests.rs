//! Which connections are used again, against a store of a few lines.
#![expect(clippy::disallowed_methods, reason = "bodies of a few bytes")]

use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::super::connector;
use super::*;
use crate::net::client_tls;

const WITH_LENGTH: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
const CHUNKED: &str =
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
const EMPTY: &str = "HTTP/1.1 204 No Content\r\n\r\n";
const LAST: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello";
const BEGUN: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhe";

/// A store that gives each connection the answers of its list, then closes it and says so.
struct Store {
    url: String,
    closed: mpsc::UnboundedReceiver<()>,
    _serving: AbortOnDropHandle<()>,
}

impl Store {
    async fn start(connections: Vec<Vec<&'static str>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/key", listener.local_addr().unwrap());
        let (closing, closed) = mpsc::unbounded_channel();
        let serving = async move {
            for answers in connections {
                let (mut stream, _) = listener.accept().await.unwrap();
                for answer in answers {
                    take_request(&mut stream).await;
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
                stream.shutdown().await.unwrap();
                let _ = closing.send(());
            }
        };
        Self {
            url,
            closed,
            _serving: AbortOnDropHandle::new(TaskTracker::new().spawn(serving)),
        }
    }
}

async fn take_request(stream: &mut TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("GET /key HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("host: 127.0.0.1:"), "{head}");
}

fn pool() -> Arc<Pool> {
    let tls = client_tls(None, false).unwrap();
    Arc::new(Pool::new(connector(tls, Duration::from_secs(5))))
}

async fn ask(pool: &Arc<Pool>, url: &str) -> Result<Response<SdkBody>, Failure> {
    let request = Request::get(url).body(SdkBody::empty()).unwrap();
    let home = Pool::home(request.uri())?;
    Arc::clone(pool).request(request, home).await
}

async fn read(pool: &Arc<Pool>, url: &str) -> Bytes {
    let answer = ask(pool, url).await.unwrap();
    answer.into_body().collect().await.unwrap().to_bytes()
}

#[tokio::test]
async fn a_connection_is_used_again_after_every_whole_answer() {
    let store = Store::start(vec![vec![
        WITH_LENGTH,
        CHUNKED,
        EMPTY,
        CHUNKED,
        WITH_LENGTH,
    ]])
    .await;
    let pool = pool();
    for expected in ["hello", "hello", "", "hello", "hello"] {
        assert_eq!(read(&pool, &store.url).await, expected);
    }
}

#[tokio::test]
async fn one_that_the_store_has_closed_is_not_used() {
    let connections = vec![vec![WITH_LENGTH], vec![LAST], vec![CHUNKED]];
    let mut store = Store::start(connections).await;
    let pool = pool();
    for _ in 0..3 {
        assert_eq!(read(&pool, &store.url).await, "hello");
        store.closed.recv().await.unwrap();
        // The runtime looks at its sockets when nothing else is to do.
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn one_whose_answer_was_left_is_not_used() {
    let store = Store::start(vec![vec![BEGUN], vec![WITH_LENGTH]]).await;
    let pool = pool();
    let mut begun = ask(&pool, &store.url).await.unwrap().into_body();
    let frame = begun.frame().await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "he");
    drop(begun);
    assert_eq!(read(&pool, &store.url).await, "hello");
}

#[tokio::test]
async fn one_that_was_marked_is_not_used() {
    let store = Store::start(vec![vec![WITH_LENGTH], vec![WITH_LENGTH]]).await;
    let pool = pool();
    let request = Request::get(&store.url).body(SdkBody::empty()).unwrap();
    let home = Pool::home(request.uri()).unwrap();
    let answer = Arc::clone(&pool).request(request, home.clone()).await;
    home.poison();
    answer.unwrap().into_body().collect().await.unwrap();
    assert_eq!(read(&pool, &store.url).await, "hello");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_an_error() {
    let store = Store::start(vec![vec![BEGUN]]).await;
    let answer = ask(&pool(), &store.url).await.unwrap();
    assert!(answer.into_body().collect().await.is_err());
}
