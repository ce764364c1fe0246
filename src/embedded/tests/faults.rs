//! Clients that break off, files that are damaged, and the end of the server.

use super::*;

#[tokio::test]
async fn a_client_that_breaks_off_leaves_nothing() {
    let f = Fixture::new().await;
    let request = f
        .client
        .put_object()
        .bucket(BUCKET)
        .key("a")
        .presigned(presigning())
        .await
        .unwrap();
    let mut raw = RawPut::begin(&request, 8 * MIB).await;
    raw.send(&content(3 * MIB)).await;
    eventually("the object is being written", || !f.data_files().is_empty()).await;
    drop(raw);
    eventually("no files", || f.data_files().is_empty()).await;
    assert_refused(
        f.client.head_object().bucket(BUCKET).key("a").send().await,
        404,
        "NotFound",
    );
}

#[tokio::test]
async fn a_body_that_ends_early_is_not_published() {
    let f = Fixture::new().await;
    f.put("a", content(5)).await;
    let request = f
        .client
        .put_object()
        .bucket(BUCKET)
        .key("a")
        .presigned(presigning())
        .await
        .unwrap();
    let mut raw = RawPut::begin(&request, 1000).await;
    raw.send(&content(999)).await;
    raw.stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    // Whether an answer can still be sent is up to the connection; success it must not be.
    let _ = soon(raw.stream.read_to_end(&mut answer)).await;
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
    assert_eq!(f.get("a").await, content(5));
    eventually("only the old file is left", || f.data_files().len() == 1).await;
}

#[tokio::test]
async fn a_short_file_breaks_the_body_and_never_ends_it() {
    let f = Fixture::new().await;
    let (_, body) = f.put_in_parts("a").await;
    let mut parts = f.data_files();
    parts.sort();
    let second = std::fs::OpenOptions::new()
        .write(true)
        .open(&parts[1])
        .unwrap();
    second.set_len(10).unwrap();

    let got = f
        .client
        .get_object()
        .bucket(BUCKET)
        .key("a")
        .send()
        .await
        .unwrap();
    assert_eq!(got.content_length(), Some(body.len() as i64));
    assert!(soon(got.body.collect()).await.is_err());
    // When the very first byte is missing there is still time for an answer.
    let no_retries = aws_sdk_s3::config::retry::RetryConfig::disabled();
    let client = Client::from_conf(config(&f.store).retry_config(no_retries).build());
    let tail = client
        .get_object()
        .bucket(BUCKET)
        .key("a")
        .range("bytes=-5")
        .send()
        .await;
    assert_refused(tail, 500, "InternalError");
    // The store goes on.
    f.put("b", content(5)).await;
    assert_eq!(f.get("b").await, content(5));
}

#[tokio::test]
async fn stopping_lets_a_running_request_finish() {
    let f = Fixture::new().await;
    let request = f
        .client
        .put_object()
        .bucket(BUCKET)
        .key("a")
        .presigned(presigning())
        .await
        .unwrap();
    let mut raw = RawPut::begin(&request, 2 * MIB).await;
    raw.send(&content(2 * MIB)[..MIB]).await;
    eventually("the object is being written", || !f.data_files().is_empty()).await;
    let address = f
        .store
        .endpoint()
        .strip_prefix("http://")
        .unwrap()
        .to_owned();
    let stopping = tokio::spawn(f.store.stop());
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    while TcpStream::connect(&address).await.is_ok() {
        tick.tick().await;
    }
    raw.send(&content(2 * MIB)[MIB..]).await;
    let answer = raw.answer().await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    soon(stopping).await.unwrap();
    let store = EmbeddedStore::start(f.dir.path(), ANY_PORT).await.unwrap();
    let head = client(&store)
        .head_object()
        .bucket(BUCKET)
        .key("a")
        .send()
        .await
        .unwrap();
    assert_eq!(head.content_length(), Some(2 * MIB as i64));
}
