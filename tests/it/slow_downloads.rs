//! What a client that takes nothing of its answer makes the service hold: little, whatever the connections are.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::authority::Authority;
use crate::support::child::Server;
use crate::support::store::{Embedded, Endpoint};
use crate::support::upload::MIB;
use crate::support::{content, eventually};

const CLIENTS: u64 = 400;

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

/// A configuration on this store.
fn configuration(dir: &Path, store: &Endpoint, server: &str) -> PathBuf {
    let config = dir.join("oriel.toml");
    let text = format!(
        "auth = \"none\"\n[server]\nlisten = \"127.0.0.1:0\"\n{server}\n[metrics]\nlisten = \"off\"\n[catalog]\npath = {:?}\n\
         [store.main]\nendpoint = {:?}\nbucket = \"images\"\nprofile = \"embedded\"\ncreate_bucket = true\n\
         access_key = {:?}\nsecret_key = {:?}\n",
        dir.join("catalog.sqlite"),
        store.url,
        store.access_key,
        store.secret_key
    );
    std::fs::write(&config, text).unwrap();
    config
}

/// A configuration with the store inside.
fn with_store_inside(dir: &Path) -> PathBuf {
    let config = dir.join("embedded.toml");
    let text = format!(
        "auth = \"none\"\n[server]\nlisten = \"127.0.0.1:0\"\n[metrics]\nlisten = \"off\"\n[catalog]\npath = {:?}\n\
         [embedded]\ndata_dir = {:?}\n[store.main]\nendpoint = \"embedded\"\n",
        dir.join("embedded.sqlite"),
        dir.join("embedded"),
    );
    std::fs::write(&config, text).unwrap();
    config
}

/// The store is a process of its own. Each listener is looked at in a process that has taken no upload, and so has no
/// memory to spare.
#[tokio::test]
async fn a_download_that_nobody_takes_holds_little() {
    let dir = tempfile::tempdir().unwrap();
    let embedded = Embedded::start().await;
    let store = embedded.endpoint();
    let plain = configuration(dir.path(), &store, "");
    let server = Server::start(&plain).await;
    let id = server.client.upload(content::bytes(SIZE)).await;
    server.kill().await;

    let server = Server::start(&plain).await;
    let each = cost(&server, async || {
        begin(connection(server.client.addr).await, &id).await
    })
    .await;
    assert!(each < MOST, "plain: {each}");
    server.kill().await;

    let authority = Authority::new("a");
    let (certificate, key) = authority.issue();
    let settings = [("tls_certificate", certificate), ("tls_key", key)].map(|(setting, text)| {
        let path = dir.path().join(setting);
        std::fs::write(&path, text).unwrap();
        format!("{setting} = {path:?}")
    });
    let over_tls = configuration(dir.path(), &store, &settings.join("\n"));
    let server = Server::start(&over_tls).await;
    let client = authority.client(None);
    let each = cost(&server, async || {
        let name = ServerName::try_from("localhost").unwrap();
        let stream = connection(server.client.addr).await;
        begin(client.connect(name, stream).await.unwrap(), &id).await
    })
    .await;
    assert!(each < MOST, "over TLS: {each}");
    server.kill().await;

    // The store's side of each download is in the same process.
    let embedded = with_store_inside(dir.path());
    let server = Server::start(&embedded).await;
    let id = server.client.upload(content::bytes(SIZE)).await;
    server.kill().await;
    let server = Server::start(&embedded).await;
    let each = cost(&server, async || {
        begin(connection(server.client.addr).await, &id).await
    })
    .await;
    assert!(each < MOST, "store inside: {each}");
    server.kill().await;
}
