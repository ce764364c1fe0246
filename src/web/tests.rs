//! Sources and their faults, over real sockets.

use std::num::NonZeroU16;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;

use super::*;
#[expect(unreachable_pub, reason = "the tests of behaviour have it as well")]
#[path = "../../tests/support/web.rs"]
mod server;

#[allow(
    dead_code,
    unreachable_pub,
    reason = "the tests of behaviour use all of it"
)]
#[path = "../../tests/support/authority.rs"]
mod authority;

mod breaks;

use authority::Authority;
use server::{Fault, Page, WebServer};

const ETAG: &str = "\"v1\"";

/// Rules under which the server of the test may be asked.
fn rules(server: &WebServer) -> WebRules {
    WebRules {
        allowed_ports: NonZeroU16::new(server.port()).into_iter().collect(),
        allow_private_addresses: true,
        ..WebRules::default()
    }
}

fn web(rules: &WebRules) -> Web {
    Web::with_pause(rules, Duration::from_millis(1)).unwrap()
}

fn data(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n % 251) as u8).collect()
}

/// All the data of a path, with the length that was promised.
async fn fetch_by(rules: &WebRules, url: &str) -> Result<(Vec<u8>, Option<u64>), Error> {
    let mut body = web(rules).open(url).await?;
    let length = body.length();
    let mut all = Vec::new();
    while let Some(frame) = body.frame().await {
        let bytes: Bytes = frame?.into_data().unwrap_or_default();
        all.extend_from_slice(&bytes);
    }
    Ok((all, length))
}

async fn fetch(server: &WebServer, path: &str) -> Result<(Vec<u8>, Option<u64>), Error> {
    fetch_by(&rules(server), &server.url(path)).await
}

async fn told(server: &WebServer, path: &str) -> String {
    fetch(server, path).await.unwrap_err().to_string()
}

#[tokio::test]
async fn data_comes_whole_with_a_length_or_in_chunks() {
    let server = WebServer::start().await;
    let data = data(300_000);
    server.put("/length", Page::new(data.clone()));
    server.put("/chunks", Page::new(data.clone()).in_chunks());
    server.put("/empty", Page::new([]));
    let (got, length) = fetch(&server, "/length?signature=x").await.unwrap();
    assert!(got == data);
    assert_eq!(length, Some(300_000));
    let (got, length) = fetch(&server, "/chunks").await.unwrap();
    assert!(got == data);
    assert_eq!(length, None);
    assert_eq!(
        fetch(&server, "/empty").await.unwrap(),
        (Vec::new(), Some(0))
    );
    let head = &server.heads("/length")[0];
    let host = format!("host: 127.0.0.1:{}\r\n", server.port());
    for line in [
        "GET /length?signature=x HTTP/1.1\r\n",
        &host,
        "accept-encoding: identity\r\n",
        "connection: close\r\n",
        "user-agent: oriel/",
    ] {
        assert!(head.contains(line), "{line} in {head}");
    }
    assert!(!head.contains("range"), "{head}");
}

#[tokio::test]
async fn what_the_rules_deny_is_not_connected_to() {
    let server = WebServer::start().await;
    server.put("/x", Page::new(data(10)));
    let (port, url) = (server.port(), server.url("/x"));
    let by_name = format!("http://localhost:{port}/x");
    let public_only = WebRules {
        allow_private_addresses: false,
        ..rules(&server)
    };
    let other_ports = WebRules {
        allow_private_addresses: true,
        ..WebRules::default()
    };
    for (rules, url) in [
        (&public_only, url.as_str()),
        (&public_only, &by_name),
        (&public_only, &format!("http://[::ffff:127.0.0.1]:{port}/x")),
        (&public_only, &format!("http://[::1]:{port}/x")),
        (&other_ports, &url),
        (&rules(&server), &format!("http://a@127.0.0.1:{port}/x")),
        (&rules(&server), &format!("http://127.1:{port}/x")),
        (&rules(&server), &format!("http://nowhere.invalid:{port}/x")),
        (&rules(&server), &format!("http://169.254.169.254:{port}/x")),
    ] {
        let opened = fetch_by(rules, url).await;
        assert!(matches!(opened, Err(Error::Refused(_))), "{url}");
        assert!(web(rules).check(url).await.is_err(), "{url}");
    }
    assert_eq!(server.count("/x"), 0);
    for url in [&url, &by_name] {
        assert_eq!(web(&rules(&server)).check(url).await, Ok(()), "{url}");
    }
    assert_eq!(server.count("/x"), 0, "a check connects");
    assert_eq!(
        fetch_by(&rules(&server), &by_name).await.unwrap().0,
        data(10)
    );
}

#[tokio::test]
async fn redirects_are_followed_to_what_may_be_asked() {
    let server = WebServer::start().await;
    server.put("/data/image", Page::new(data(1000)));
    server.put("/data/303", Page::leading_to(303, "image"));
    server.put("/307", Page::leading_to(307, "data/303?x#y"));
    server.put("/302", Page::leading_to(302, "/307"));
    server.put("/301", Page::leading_to(301, &server.url("/302")));
    server.put("/308", Page::leading_to(308, "//127.0.0.1:80/301"));
    let network = format!("//127.0.0.1:{}/301", server.port());
    server.put("/308", Page::leading_to(308, &network));
    assert_eq!(fetch(&server, "/308").await.unwrap().0, data(1000));
    assert_eq!(server.count("/data/image"), 1);
    server.put("/309", Page::leading_to(302, "/308"));
    assert_eq!(told(&server, "/309").await, "redirected more than 5 times");
    server.put("/loop", Page::leading_to(302, "/loop"));
    assert_eq!(told(&server, "/loop").await, "redirected more than 5 times");
    assert_eq!(server.count("/loop"), 6);
}

#[tokio::test]
async fn every_hop_is_filtered() {
    let server = WebServer::start().await;
    let port = server.port();
    for target in [
        format!("http://169.254.169.254:{port}/latest/meta-data?secret"),
        format!("http://[::ffff:169.254.169.254]:{port}/secret"),
        format!("http://2852039166:{port}/secret"),
        format!("http://user@127.0.0.1:{port}/secret"),
        format!("http://nowhere.invalid:{port}/secret"),
        "http://127.0.0.1/secret".to_owned(),
        "//127.0.0.1:22/secret".to_owned(),
        "file:///secret".to_owned(),
        "ftp://127.0.0.1/secret".to_owned(),
        "gopher://127.0.0.1/secret".to_owned(),
        "/\\secret".to_owned(),
        "/secret \u{e9}".to_owned(),
    ] {
        server.put("/first", Page::leading_to(302, "/second"));
        server.put("/second", Page::leading_to(302, &target));
        let told = told(&server, "/first").await;
        assert!(
            told.starts_with("redirected to a refused address: "),
            "{target}: {told}"
        );
        assert!(!told.contains("secret"), "{told}");
    }
    let no_hosts = WebRules {
        allowed_hosts: vec!["127.0.0.1".into()],
        ..rules(&server)
    };
    server.put(
        "/first",
        Page::leading_to(302, &format!("http://localhost:{port}/x")),
    );
    let refused = fetch_by(&no_hosts, &server.url("/first")).await;
    assert!(matches!(
        refused,
        Err(Error::RedirectRefused(Refused::Host(host))) if host == "localhost"
    ));
    assert_eq!(server.count("/x"), 0);
}

#[tokio::test]
async fn other_answers_than_the_data_are_told() {
    let server = WebServer::start().await;
    for (page, message) in [
        (Page::of_status(404), "the source answered 404"),
        (Page::of_status(500), "the source answered 500"),
        (Page::of_status(204), "the source answered 204"),
        (Page::of_status(302), "the source answered 302"),
        (Page::of_status(206), "the source answered 206"),
        (
            Page::new(data(100)).with("content-encoding", "gzip"),
            "another coding",
        ),
        (
            Page::new(data(100))
                .with("transfer-encoding", "gzip, chunked")
                .in_chunks(),
            "another coding",
        ),
        (Page::new(data(100)).until_close(), "neither the length"),
        (
            Page::new(data(100))
                .with("content-length", "100")
                .in_chunks(),
            "both a length and chunks",
        ),
        (
            Page::new(data(100)).with("x-filler", "x".repeat(300_000)),
            "head of its answer is too large",
        ),
        (
            (0..300).fold(Page::new(data(100)), |page, n| {
                page.with(&format!("x-{n}"), "x")
            }),
            "head of its answer is too large",
        ),
        (
            Page::new(data(100)).with("content-length", "99"),
            "its answer cannot be read",
        ),
    ] {
        server.put("/x", page);
        let told = told(&server, "/x").await;
        assert!(told.contains(message), "{message}: {told}");
    }
}

#[tokio::test]
async fn who_is_not_there_or_speaks_something_else_is_told() {
    let server = WebServer::start().await;
    let rules = rules(&server);
    let tls = server.url("/x").replace("http:", "https:");
    let told = fetch_by(&rules, &tls).await.unwrap_err().to_string();
    assert!(told.starts_with("the source cannot be reached: "), "{told}");
    let url = server.url("/x");
    drop(server);
    let told = loop {
        // The listener closes when its task has been dropped.
        match fetch_by(&rules, &url).await {
            Err(e @ Error::Unreachable(_)) => break e.to_string(),
            _ => tokio::task::yield_now().await,
        }
    };
    assert!(told.starts_with("the source cannot be reached: "), "{told}");
}

#[tokio::test]
async fn a_connection_goes_to_the_addresses_that_were_checked() {
    let server = WebServer::start().await;
    server.put("/x", Page::new(data(10)));
    let url = format!("http://nowhere.invalid:{}/x", server.port());
    let url = Url::parse(&url).unwrap();
    let checked = vec![SocketAddr::from(([127, 0, 0, 1], server.port()))];
    let connector = &web(&rules(&server)).0.connector;
    let exchange = connector.get(&url, checked, None).await.unwrap();
    assert_eq!(exchange.length(), Some(10));
    let host = format!("host: nowhere.invalid:{}\r\n", server.port());
    assert!(server.heads("/x")[0].contains(&host));
}

#[tokio::test]
async fn tls_is_spoken_with_who_is_trusted() {
    let (authority, other) = (Authority::new("one"), Authority::new("other"));
    let server = WebServer::start_with_tls(&authority.issue()).await;
    server.put("/x", Page::new(data(100_000)));
    let folder = tempfile::tempdir().unwrap();
    let trusting = |name: &str, pem: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, pem).unwrap();
        WebRules {
            ca_bundle: Some(path),
            ..rules(&server)
        }
    };
    let url = server.url("/x");
    let trusted = trusting("one.pem", &authority.pem);
    let got = fetch_by(&trusted, &url).await.unwrap();
    assert!(got == (data(100_000), Some(100_000)));
    let by_address = url.replace("localhost", "127.0.0.1");
    let untrusted = trusting("other.pem", &other.pem);
    for (rules, url) in [(&untrusted, &url), (&trusted, &by_address)] {
        let told = fetch_by(rules, url).await.unwrap_err().to_string();
        assert!(
            told.contains("cannot be reached: invalid peer certificate"),
            "{told}"
        );
    }
    assert_eq!(server.count("/x"), 1);
}

#[tokio::test]
async fn rules_that_cannot_be_used_are_told_with_their_key() {
    let server = WebServer::start().await;
    assert!(Web::new(rules(&server)).is_ok());
    let no_file = WebRules {
        ca_bundle: Some("/nowhere/ca.pem".into()),
        ..WebRules::default()
    };
    let told = Web::new(no_file).err().unwrap().to_string();
    assert!(
        told.starts_with("import.ca_bundle: /nowhere/ca.pem"),
        "{told}"
    );
    let no_host = WebRules {
        allowed_hosts: vec!["*.example".into()],
        ..WebRules::default()
    };
    let told = Web::new(no_host).err().unwrap().to_string();
    assert!(
        told.starts_with("import.allowed_hosts: \"*.example\""),
        "{told}"
    );
}
