//! A TCP connection's way through the test, which can be cut.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinHandle};

/// Passes connections on to a server, until it is cut.
pub struct Link {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    is_cut: bool,
    connections: Vec<AbortHandle>,
}

impl Link {
    /// To the server at this address.
    #[expect(clippy::disallowed_methods, reason = "ended with the link")]
    pub async fn start(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, state) = (
            listener.local_addr().unwrap(),
            Arc::new(Mutex::new(State::default())),
        );
        let shared = Arc::clone(&state);
        let accepting = tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let server = server.clone();
                let mut state = shared.lock().unwrap();
                if state.is_cut {
                    continue;
                }
                let passing = tokio::spawn(async move {
                    if let Ok(mut server) = TcpStream::connect(server).await {
                        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                    }
                });
                state.connections.push(passing.abort_handle());
            }
        });
        Self {
            address,
            state,
            accepting,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Breaks every connection, and each new one.
    pub fn cut(&self) {
        let mut state = self.state.lock().unwrap();
        state.is_cut = true;
        state
            .connections
            .drain(..)
            .for_each(|passing| passing.abort());
    }

    /// Lets new connections through again.
    pub fn heal(&self) {
        self.state.lock().unwrap().is_cut = false;
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.cut();
        self.accepting.abort();
    }
}
