//! Conditional reads and writes.

use super::*;

#[tokio::test]
async fn reads_honour_conditions() {
    let f = Fixture::new().await;
    let etag = f.put("a", content(10)).await;
    let get = || f.client.get_object().bucket(BUCKET).key("a");
    get().if_match(&etag).send().await.unwrap();
    get().if_match("*").send().await.unwrap();
    get().if_none_match("\"other\"").send().await.unwrap();
    assert_refused(
        get().if_match("\"other\"").send().await,
        412,
        "PreconditionFailed",
    );
    let unchanged = get().if_none_match(&etag).send().await.unwrap_err();
    let unchanged = unchanged.raw_response().unwrap();
    assert_eq!(unchanged.status().as_u16(), 304);
    assert_eq!(unchanged.headers().get("etag"), Some(&*etag));

    let modified = *get().send().await.unwrap().last_modified().unwrap();
    assert_refused(
        get()
            .if_unmodified_since(aws_smithy_types::DateTime::from_secs(modified.secs() - 1))
            .send()
            .await,
        412,
        "PreconditionFailed",
    );
    get().if_unmodified_since(modified).send().await.unwrap();
    let unchanged = get().if_modified_since(modified).send().await.unwrap_err();
    assert_eq!(unchanged.raw_response().unwrap().status().as_u16(), 304);
    let head = f
        .client
        .head_object()
        .bucket(BUCKET)
        .key("a")
        .if_match("\"other\"")
        .send()
        .await
        .unwrap_err();
    assert_eq!(refusal(&head).0, 412);
}

#[tokio::test]
async fn writes_honour_conditions() {
    let f = Fixture::new().await;
    let put = |body: &'static [u8]| {
        f.client
            .put_object()
            .bucket(BUCKET)
            .key("a")
            .body(ByteStream::from_static(body))
    };
    assert_refused(
        put(b"0").if_match("\"other\"").send().await,
        404,
        "NoSuchKey",
    );
    let etag = put(b"1")
        .if_none_match("*")
        .send()
        .await
        .unwrap()
        .e_tag
        .unwrap();
    assert_refused(
        put(b"2").if_none_match("*").send().await,
        412,
        "PreconditionFailed",
    );
    assert_refused(
        put(b"3").if_match("\"other\"").send().await,
        412,
        "PreconditionFailed",
    );
    assert_eq!(f.get("a").await, b"1");
    put(b"4").if_match(etag).send().await.unwrap();
    assert_eq!(f.get("a").await, b"4");
}

#[tokio::test]
async fn of_many_first_writers_one_wins() {
    let f = Fixture::new().await;
    let puts = (0..16u8).map(|n| {
        let put = f
            .client
            .put_object()
            .bucket(BUCKET)
            .key("a")
            .if_none_match("*");
        async move { put.body(vec![n; 1000].into()).send().await.map(|_| n) }
    });
    let results = futures_util::future::join_all(puts).await;
    let winners: Vec<_> = results.iter().flatten().collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(f.get("a").await, vec![*winners[0]; 1000]);
    eventually("the losers' files are gone", || f.data_files().len() == 1).await;
}
