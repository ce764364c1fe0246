//! A TCP connection's way through the test, which can be cut, slowed or held, each direction by itself, and led elsewhere.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle};

/// Where connections are led to.
#[derive(Debug, Clone)]
pub enum Target {
    Tcp(String),
    Unix(PathBuf),
}

impl From<String> for Target {
    fn from(address: String) -> Self {
        Target::Tcp(address)
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Target {
    async fn connect(&self) -> std::io::Result<Box<dyn Stream>> {
        Ok(match self {
            Target::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
            Target::Unix(path) => Box::new(UnixStream::connect(path).await?),
        })
    }
}

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    ToServer,
    FromServer,
}

/// How they go.
#[derive(Debug, Clone, Copy)]
pub enum Flow {
    Free,
    /// Each piece comes so much later.
    Slow(Duration),
    /// They wait until it is otherwise.
    Held,
    /// The connection breaks with the next piece: a question is lost, or it is answered and the answer is.
    Lost,
}

/// Passes connections on to a server, as it is told.
pub struct Link {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    state: Mutex<State>,
    to_server: watch::Sender<Flow>,
    from_server: watch::Sender<Flow>,
    /// How often [`Link::replace`] has found its text.
    replaced: AtomicUsize,
}

struct State {
    is_cut: bool,
    target: Target,
    replacement: Option<(&'static str, &'static str)>,
    connections: Vec<AbortHandle>,
}

impl Link {
    /// To the server at this address.
    #[expect(clippy::disallowed_methods, reason = "ended with the link")]
    pub async fn start(target: impl Into<Target>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                is_cut: false,
                target: target.into(),
                replacement: None,
                connections: Vec::new(),
            }),
            to_server: watch::Sender::new(Flow::Free),
            from_server: watch::Sender::new(Flow::Free),
            replaced: AtomicUsize::new(0),
        });
        let accepted = Arc::clone(&shared);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let mut state = accepted.state.lock().unwrap();
                if state.is_cut {
                    continue;
                }
                let (target, replacement) = (state.target.clone(), state.replacement);
                let passing = pass(client, target, replacement, Arc::clone(&accepted));
                state.connections.push(tokio::spawn(passing).abort_handle());
            }
        });
        Self {
            address,
            shared,
            accepting,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Breaks every connection, and each new one.
    pub fn cut(&self) {
        let mut state = self.shared.state.lock().unwrap();
        state.is_cut = true;
        state
            .connections
            .drain(..)
            .for_each(|passing| passing.abort());
    }

    /// Lets new connections through again, and everything that was held.
    pub fn heal(&self) {
        self.shared.state.lock().unwrap().is_cut = false;
        self.set(Direction::ToServer, Flow::Free);
        self.set(Direction::FromServer, Flow::Free);
    }

    /// From now on bytes go so.
    pub fn set(&self, direction: Direction, flow: Flow) {
        match direction {
            Direction::ToServer => self.shared.to_server.send_replace(flow),
            Direction::FromServer => self.shared.from_server.send_replace(flow),
        };
    }

    /// New connections lead to another server.
    pub fn move_to(&self, target: impl Into<Target>) {
        self.shared.state.lock().unwrap().target = target.into();
    }

    /// On new connections, what says `text` on its way to the server says `other` there. Both are of one length, and `text`
    /// comes within one piece.
    pub fn replace(&self, text: &'static str, other: &'static str) {
        assert_eq!(text.len(), other.len());
        self.shared.state.lock().unwrap().replacement = Some((text, other));
    }

    /// How often that was done.
    pub fn replaced(&self) -> usize {
        self.shared.replaced.load(Ordering::SeqCst)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.cut();
        self.accepting.abort();
    }
}

async fn pass(
    client: TcpStream,
    target: Target,
    replacement: Option<(&'static str, &'static str)>,
    shared: Arc<Shared>,
) {
    let _ = client.set_nodelay(true);
    let Ok(server) = target.connect().await else {
        return;
    };
    let (from_client, to_client) = tokio::io::split(client);
    let (from_server, to_server) = tokio::io::split(server);
    let alter = |piece: &mut [u8]| {
        let Some((text, other)) = replacement else {
            return;
        };
        let mut places = piece.windows(text.len());
        if let Some(place) = places.position(|window| window == text.as_bytes()) {
            piece[place..place + text.len()].copy_from_slice(other.as_bytes());
            shared.replaced.fetch_add(1, Ordering::SeqCst);
        }
    };
    // The end of one direction is that of the connection.
    tokio::select! {
        () = carry(from_client, to_server, shared.to_server.subscribe(), alter) => {}
        () = carry(from_server, to_client, shared.from_server.subscribe(), |_| {}) => {}
    }
}

async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut flow: watch::Receiver<Flow>,
    alter: impl Fn(&mut [u8]),
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        alter(&mut buffer[..length]);
        if !passes(&mut flow).await || to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

/// Waits as long as a piece has to; false when it does not arrive.
async fn passes(flow: &mut watch::Receiver<Flow>) -> bool {
    loop {
        let now = *flow.borrow_and_update();
        match now {
            Flow::Free => return true,
            Flow::Lost => return false,
            Flow::Slow(delay) => {
                tokio::time::sleep(delay).await;
                return true;
            }
            Flow::Held if flow.changed().await.is_err() => return false,
            Flow::Held => {}
        }
    }
}
