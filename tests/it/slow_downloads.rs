//! What a client that takes nothing of its answer makes the service hold: little, whatever the connections are.

use std::net::SocketAddr;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::authority::Authority;
use crate::support::child::Server;
use crate::support::upload::MIB;
use crate::support::{content, eventually};

const CLIENTS: u64 = 200;

/// What each may cost.
const MOST: u64 = 256 * 1024;

/// More than the sockets on the way hold, and the client's holds little.
const SIZE: u64 = 24 * MIB;
const CLIENT_BUFFER: u32 = 16 * 1024;

/// Memory that has not changed at so many looks is what there is.
const LOOKS: u32 = 50;

async fn connection(to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(CLIENT_BUFFER).unwrap();
    socket.connect(to).await.unwrap()
}

/// Asks for an image and takes the beginning of the answer.
async fn begin<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, id: &str) -> S {
    let request = format!("GET /v2/images/{id}/file HTTP/1.1\r\nhost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut begun = [0; 12];
    stream.read_exact(&mut begun).await.unwrap();
    assert_eq!(&begun, b"HTTP/1.1 200");
    stream
}

/// What each of the clients costs; `connect` gives one that has begun its download, which lasts as long as that.
async fn cost<S>(server: &Server, connect: impl AsyncFn() -> S) -> u64 {
    // What the first one makes is not theirs.
    drop(connect().await);
    let before = server.resident_bytes();
    let mut open = Vec::new();
    for _ in 0..CLIENTS {
        open.push(connect().await);
    }
    let (mut last, mut looks) = (0, 0);
    let held = eventually("the memory settles", async || {
        let now = server.resident_bytes();
        looks = if now == last { looks + 1 } else { 0 };
        last = now;
        (looks == LOOKS).then_some(now)
    })
    .await;
    held.saturating_sub(before) / CLIENTS
}

/// What the store within the process holds for them counts as well.
#[tokio::test]
async fn a_download_that_nobody_takes_holds_little_plain_and_over_tls() {
    let (dir, config) = super::operation::site("");
    let server = Server::start(&config).await;
    let id = server.client.upload(content::bytes(SIZE)).await;
    let plain = cost(&server, async || {
        begin(connection(server.client.addr).await, &id).await
    })
    .await;
    server.kill().await;

    let authority = Authority::new("a");
    let (certificate, key) = authority.issue();
    let mut settings = std::fs::read_to_string(&config).unwrap();
    for (setting, text) in [("tls_certificate", certificate), ("tls_key", key)] {
        let path = dir.path().join(setting);
        std::fs::write(&path, text).unwrap();
        let setting = format!("[server]\n{setting} = {path:?}\n");
        settings = settings.replacen("[server]\n", &setting, 1);
    }
    std::fs::write(&config, settings).unwrap();
    let server = Server::start(&config).await;
    let client = authority.client(None);
    let over_tls = cost(&server, async || {
        let name = ServerName::try_from("localhost").unwrap();
        let stream = connection(server.client.addr).await;
        begin(client.connect(name, stream).await.unwrap(), &id).await
    })
    .await;
    server.kill().await;
    assert!(plain < MOST && over_tls < MOST, "{plain}, {over_tls}");
}
