//! A web server of the tests' own: gives bytes at paths, right or with a fault, and keeps what it was asked.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// What is wrong with one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection ends after so many bytes of the body.
    BreakAfter(usize),
    /// Nothing more comes after so many bytes of the body.
    HangAfter(usize),
    /// Not even a head comes.
    HangBeforeHead,
    /// The whole under 200, though a range was asked for.
    RangeIgnored,
    /// Under 206 the bytes before those asked for, with a Content-Range that says so.
    RangeShifted,
    /// 503 without the data.
    Unavailable,
}

/// How the end of the body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// By its length.
    Length,
    /// By a length that is not its own.
    Lie(usize),
    /// In chunks.
    Chunks,
    /// By the end of the connection.
    Close,
}

/// What stands at a path.
#[derive(Debug, Clone)]
pub struct Page {
    status: u16,
    body: Vec<u8>,
    headers: Vec<(String, String)>,
    etag: Option<String>,
    framing: Framing,
    faults: VecDeque<Fault>,
}

impl Page {
    /// Data under 200, with its length and without an ETag.
    pub fn new(body: impl Into<Vec<u8>>) -> Self {
        Self {
            status: 200,
            body: body.into(),
            headers: Vec::new(),
            etag: None,
            framing: Framing::Length,
            faults: VecDeque::new(),
        }
    }

    /// An empty answer of some status.
    pub fn of_status(status: u16) -> Self {
        Self {
            status,
            ..Self::new([])
        }
    }

    /// A redirect.
    pub fn leading_to(status: u16, location: &str) -> Self {
        Self::of_status(status).with("location", location)
    }

    /// One more header; `content-encoding: gzip` does not change the data.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// With an ETag, its quotes included, ranges are given.
    pub fn with_etag(mut self, etag: &str) -> Self {
        self.etag = Some(etag.to_owned());
        self
    }

    /// Says another length than the body has.
    pub fn with_false_length(mut self, length: usize) -> Self {
        self.framing = Framing::Lie(length);
        self
    }

    /// In chunks, without a length.
    pub fn in_chunks(mut self) -> Self {
        self.framing = Framing::Chunks;
        self
    }

    /// Ends with the connection, without a length.
    pub fn until_close(mut self) -> Self {
        self.framing = Framing::Close;
        self
    }

    /// The first answers have these faults, one each; the others are right.
    pub fn failing(mut self, faults: impl IntoIterator<Item = Fault>) -> Self {
        self.faults = faults.into_iter().collect();
        self
    }
}

#[derive(Default)]
struct State {
    pages: HashMap<String, Page>,
    /// Of each request its path and its head, names of headers in lower case.
    seen: Vec<(String, String)>,
}

/// The server, on a free port of 127.0.0.1; it ends when it is dropped.
pub struct WebServer {
    /// Scheme and host.
    origin: String,
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    serving: JoinHandle<()>,
}

impl WebServer {
    pub async fn start() -> Self {
        Self::start_as(None).await
    }

    /// Speaks TLS, as `localhost`, with a certificate and its key as PEM.
    pub async fn start_with_tls((certificate, key): &(String, String)) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        Self::start_as(Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn start_as(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let origin = match tls {
            Some(_) => format!("https://localhost:{}", address.port()),
            None => format!("http://{address}"),
        };
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        #[expect(clippy::disallowed_methods, reason = "ended by Drop")]
        let serving = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (state, tls) = (Arc::clone(&shared), tls.clone());
                connections.spawn(async move {
                    // A client that gives up closes its end.
                    let _ = match tls {
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => answer(stream, &state).await,
                            Err(e) => Err(e),
                        },
                        None => answer(stream, &state).await,
                    };
                });
            }
        });
        Self {
            origin,
            address,
            state,
            serving,
        }
    }

    /// The port, for `allowed_ports`.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// Puts a page at a path, in place of what was there.
    pub fn put(&self, path: &str, page: Page) {
        let mut state = self.state.lock().unwrap();
        state.pages.insert(path.to_owned(), page);
    }

    /// How often a path was asked for.
    pub fn count(&self, path: &str) -> usize {
        self.heads(path).len()
    }

    /// The heads of the requests for a path, in order.
    pub fn heads(&self, path: &str) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let of_path = state.seen.iter().filter(|(asked, _)| asked == path);
        of_path.map(|(_, head)| head.clone()).collect()
    }
}

impl Drop for WebServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer<S>(stream: S, state: &Mutex<State>) -> std::io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut stream = BufReader::new(stream);
    let head = read_head(&mut stream).await?;
    let target = head.split(' ').nth(1).unwrap_or_default();
    let path = target.split('?').next().unwrap_or_default().to_owned();
    let (page, fault) = {
        let mut state = state.lock().unwrap();
        state.seen.push((path.clone(), head.clone()));
        let page = state.pages.get_mut(&path);
        let fault = page.and_then(|page| page.faults.pop_front());
        let page = state.pages.get(&path).cloned();
        (page.unwrap_or_else(|| Page::of_status(404)), fault)
    };
    let page = match fault {
        Some(Fault::HangBeforeHead) => std::future::pending().await,
        Some(Fault::Unavailable) => Page::of_status(503),
        _ => ranged(page, &head, fault),
    };
    stream.write_all(head_of(&page).as_bytes()).await?;
    let most = match fault {
        Some(Fault::BreakAfter(bytes) | Fault::HangAfter(bytes)) => bytes,
        _ => usize::MAX,
    };
    let is_cut = most < page.body.len();
    let sent = &page.body[..page.body.len().min(most)];
    match page.framing {
        Framing::Chunks => {
            for chunk in sent.chunks(10_000) {
                let size = format!("{:x}\r\n", chunk.len());
                stream.write_all(size.as_bytes()).await?;
                stream.write_all(chunk).await?;
                stream.write_all(b"\r\n").await?;
            }
            if !is_cut {
                stream.write_all(b"0\r\n\r\n").await?;
            }
        }
        _ => stream.write_all(sent).await?,
    }
    stream.flush().await?;
    if matches!(fault, Some(Fault::HangAfter(_))) {
        return std::future::pending().await;
    }
    stream.shutdown().await
}

async fn read_head(stream: &mut (impl AsyncBufReadExt + Unpin)) -> std::io::Result<String> {
    let mut head = String::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        if line.trim_end().is_empty() {
            return Ok(head);
        }
        match line.split_once(':') {
            Some((name, value)) if !head.is_empty() => {
                head.push_str(&format!("{}:{value}", name.to_ascii_lowercase()));
            }
            _ => head.push_str(&line),
        }
    }
}

/// The page, or the rest of it where that is asked for.
fn ranged(mut page: Page, head: &str, fault: Option<Fault>) -> Page {
    let header = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(found, _)| *found == name)
            .map(|(_, value)| value)
    };
    let first = header("range")
        .and_then(|range| range.strip_prefix("bytes="))
        .and_then(|range| range.strip_suffix('-'))
        .and_then(|first| first.parse::<usize>().ok());
    let is_same = header("if-range").is_none_or(|wanted| page.etag.as_deref() == Some(wanted));
    let Some(first) = first.filter(|_| page.etag.is_some() && is_same && page.status == 200) else {
        return page;
    };
    if fault == Some(Fault::RangeIgnored) {
        return page;
    }
    let total = page.body.len();
    if first >= total {
        return Page::of_status(416).with("content-range", format!("bytes */{total}"));
    }
    let first = match fault {
        Some(Fault::RangeShifted) => first - 1,
        _ => first,
    };
    page.status = 206;
    page.body.drain(..first);
    page.framing = Framing::Length;
    page.with(
        "content-range",
        format!("bytes {first}-{}/{total}", total - 1),
    )
}

fn head_of(page: &Page) -> String {
    let mut head = format!("HTTP/1.1 {} scripted\r\nconnection: close\r\n", page.status);
    let mut line = |name: &str, value: &str| head.push_str(&format!("{name}: {value}\r\n"));
    for (name, value) in &page.headers {
        line(name, value);
    }
    if let Some(etag) = &page.etag {
        line("etag", etag);
    }
    match page.framing {
        Framing::Length => line("content-length", &page.body.len().to_string()),
        Framing::Lie(length) => line("content-length", &length.to_string()),
        Framing::Chunks => line("transfer-encoding", "chunked"),
        Framing::Close => {}
    }
    head.push_str("\r\n");
    head
}
