//! Multipart uploads.

use super::*;

fn completed(number: i32, etag: &str) -> CompletedPart {
    CompletedPart::builder()
        .part_number(number)
        .e_tag(etag)
        .build()
}

#[tokio::test]
async fn parts_become_an_object_without_being_copied() {
    use std::os::unix::fs::MetadataExt;

    let f = Fixture::new().await;
    let body = content(11 * MIB + 3);
    let create = f.client.create_multipart_upload().bucket(BUCKET).key("a");
    let id = create
        .metadata("image-id", "42")
        .content_type("x/y")
        .send()
        .await
        .unwrap()
        .upload_id
        .unwrap();
    // Gaps in the numbers and any order of arrival are fine.
    let last = f
        .upload_part("a", &id, 900, body[11 * MIB..].to_vec())
        .await;
    let first = f.upload_part("a", &id, 3, body[..5 * MIB].to_vec()).await;
    let second = f
        .upload_part("a", &id, 7, body[5 * MIB..11 * MIB].to_vec())
        .await;
    let inodes = |f: &Fixture| {
        let parts = f
            .data_files()
            .into_iter()
            .filter(|path| !path.ends_with("upload.json"));
        let mut inodes: Vec<_> = parts
            .map(|path| std::fs::metadata(path).unwrap().ino())
            .collect();
        inodes.sort_unstable();
        inodes
    };
    let before = inodes(&f);
    let etag = f
        .complete("a", &id, vec![first, second, last])
        .await
        .unwrap();
    assert_eq!(inodes(&f), before);
    assert!(etag.ends_with("-3\""), "{etag}");

    let got = f
        .client
        .get_object()
        .bucket(BUCKET)
        .key("a")
        .send()
        .await
        .unwrap();
    assert_eq!(got.metadata().unwrap()["image-id"], "42");
    assert_eq!(
        (got.content_type(), got.e_tag()),
        (Some("x/y"), Some(&*etag))
    );
    assert!(got.body.collect().await.unwrap().to_vec() == body);

    let part = f
        .client
        .get_object()
        .bucket(BUCKET)
        .key("a")
        .part_number(2)
        .send()
        .await
        .unwrap();
    assert_eq!(part.parts_count(), Some(3));
    assert!(part.body.collect().await.unwrap().to_vec() == body[5 * MIB..11 * MIB]);
}

#[tokio::test]
async fn a_part_uploaded_again_replaces_the_first() {
    let f = Fixture::new().await;
    let id = f.create_upload("a").await;
    let old = f.upload_part("a", &id, 1, content(100)).await;
    let new = f.upload_part("a", &id, 1, content(200)).await;
    assert_eq!(f.data_files().len(), 2);
    assert_eq!(
        f.complete("a", &id, vec![old]).await,
        Err((400, "InvalidPart".to_owned()))
    );
    f.complete("a", &id, vec![new]).await.unwrap();
    assert_eq!(f.get("a").await, content(200));
}

#[tokio::test]
async fn wrong_lists_are_refused_and_leave_the_upload_open() {
    let f = Fixture::new().await;
    let id = f.create_upload("a").await;
    let small = f.upload_part("a", &id, 1, content(100)).await;
    let last = f.upload_part("a", &id, 2, content(100)).await;
    let refused = |status: u16, code: &str| Err((status, code.to_owned()));
    let both = vec![small.clone(), last.clone()];
    assert_eq!(
        f.complete("a", &id, both).await,
        refused(400, "EntityTooSmall")
    );
    let swapped = vec![last.clone(), small.clone()];
    assert_eq!(
        f.complete("a", &id, swapped).await,
        refused(400, "InvalidPartOrder")
    );
    let twice = vec![small.clone(), small.clone()];
    assert_eq!(
        f.complete("a", &id, twice).await,
        refused(400, "InvalidPartOrder")
    );
    let missing = vec![completed(9, small.e_tag().unwrap())];
    assert_eq!(
        f.complete("a", &id, missing).await,
        refused(400, "InvalidPart")
    );
    assert_eq!(
        f.complete("a", &id, vec![completed(1, "\"nonsense\"")])
            .await,
        refused(400, "InvalidPart")
    );
    assert_eq!(
        f.complete("a", &id, vec![]).await,
        refused(400, "MalformedXML")
    );
    assert_eq!(
        f.complete("b", &id, vec![small.clone()]).await,
        refused(404, "NoSuchUpload")
    );
    assert_eq!(
        f.complete("a", "../../x", vec![small.clone()]).await,
        refused(404, "NoSuchUpload")
    );
    for number in [0, 10_001, -1] {
        let part = f
            .client
            .upload_part()
            .bucket(BUCKET)
            .key("a")
            .upload_id(&id)
            .part_number(number);
        assert_refused(
            part.body(content(1).into()).send().await,
            400,
            "InvalidArgument",
        );
    }
    let digest = f
        .client
        .upload_part()
        .bucket(BUCKET)
        .key("a")
        .upload_id(&id)
        .part_number(3);
    let digest = digest
        .content_md5("1B2M2Y8AsgTpgAmY7PhCfg==")
        .body(content(1).into())
        .send()
        .await;
    assert_refused(digest, 400, "BadDigest");
    // What the list leaves out goes.
    f.complete("a", &id, vec![last]).await.unwrap();
    eventually("only the used part is left", || f.data_files().len() == 1).await;
}

#[tokio::test]
async fn completing_again_answers_the_same_while_the_object_is_there() {
    let f = Fixture::new().await;
    let id = f.create_upload("a").await;
    let part = f.upload_part("a", &id, 1, content(100)).await;
    let etag = f.complete("a", &id, vec![part.clone()]).await.unwrap();
    let f = f.restart_after(|_| {}).await;
    assert_eq!(f.complete("a", &id, vec![part.clone()]).await, Ok(etag));
    let abort = f
        .client
        .abort_multipart_upload()
        .bucket(BUCKET)
        .key("a")
        .upload_id(&id)
        .send()
        .await;
    assert_refused(abort, 404, "NoSuchUpload");
    f.put("a", content(5)).await;
    assert_eq!(
        f.complete("a", &id, vec![part]).await,
        Err((404, "NoSuchUpload".to_owned()))
    );
}

#[tokio::test]
async fn completion_honours_conditions() {
    let f = Fixture::new().await;
    f.put("a", content(5)).await;
    let id = f.create_upload("a").await;
    let part = f.upload_part("a", &id, 1, content(100)).await;
    let list = CompletedMultipartUpload::builder()
        .parts(part.clone())
        .build();
    let complete = f
        .client
        .complete_multipart_upload()
        .bucket(BUCKET)
        .key("a")
        .upload_id(&id);
    let refused = complete
        .multipart_upload(list)
        .if_none_match("*")
        .send()
        .await;
    assert_refused(refused, 412, "PreconditionFailed");
    assert_eq!(f.get("a").await, content(5));
    f.complete("a", &id, vec![part]).await.unwrap();
    assert_eq!(f.get("a").await, content(100));
}

#[tokio::test]
async fn after_an_abort_nothing_is_left_and_nothing_is_taken() {
    let f = Fixture::new().await;
    let id = f.create_upload("a").await;
    let part = f.upload_part("a", &id, 1, content(MIB)).await;
    let abort = || {
        f.client
            .abort_multipart_upload()
            .bucket(BUCKET)
            .key("a")
            .upload_id(&id)
            .send()
    };
    abort().await.unwrap();
    eventually("the upload is gone", || f.data_files().is_empty()).await;
    assert_refused(abort().await, 404, "NoSuchUpload");
    // Larger than the socket's buffers: the answer must arrive although the body was not wanted.
    let late = f
        .client
        .upload_part()
        .bucket(BUCKET)
        .key("a")
        .upload_id(&id)
        .part_number(2);
    assert_refused(
        late.body(content(16 * MIB).into()).send().await,
        404,
        "NoSuchUpload",
    );
    assert_refused(
        f.client
            .list_parts()
            .bucket(BUCKET)
            .key("a")
            .upload_id(&id)
            .send()
            .await,
        404,
        "NoSuchUpload",
    );
    assert_eq!(
        f.complete("a", &id, vec![part]).await,
        Err((404, "NoSuchUpload".to_owned()))
    );
    assert!(f.data_files().is_empty());
}

#[tokio::test]
async fn a_part_in_flight_during_an_abort_leaves_nothing() {
    let f = Fixture::new().await;
    let id = f.create_upload("a").await;
    let part = f
        .client
        .upload_part()
        .bucket(BUCKET)
        .key("a")
        .upload_id(&id)
        .part_number(1);
    let request = part.presigned(presigning()).await.unwrap();
    let body = content(4 * MIB);
    let mut raw = RawPut::begin(&request, body.len()).await;
    raw.send(&body[..2 * MIB]).await;
    eventually("the part is being written", || f.data_files().len() == 2).await;
    f.client
        .abort_multipart_upload()
        .bucket(BUCKET)
        .key("a")
        .upload_id(&id)
        .send()
        .await
        .unwrap();
    raw.send(&body[2 * MIB..]).await;
    let answer = raw.answer().await;
    assert!(
        answer.starts_with("HTTP/1.1 404 ") && answer.contains("NoSuchUpload"),
        "{answer}"
    );
    eventually("no files", || f.data_files().is_empty()).await;
    assert_eq!(std::fs::read_dir(f.data()).unwrap().count(), 0);
}

#[tokio::test]
async fn many_parts_racing_with_an_abort_leave_nothing() {
    let f = Fixture::new().await;
    for _ in 0..8 {
        let id = f.create_upload("a").await;
        let parts = (1..=6).map(|number| {
            let part = f
                .client
                .upload_part()
                .bucket(BUCKET)
                .key("a")
                .upload_id(&id)
                .part_number(number);
            part.body(content(100_000).into()).send()
        });
        let abort = f
            .client
            .abort_multipart_upload()
            .bucket(BUCKET)
            .key("a")
            .upload_id(&id)
            .send();
        let (parts, aborted) = tokio::join!(futures_util::future::join_all(parts), abort);
        aborted.unwrap();
        for refused in parts.into_iter().filter_map(Result::err) {
            assert_eq!(refusal(&refused), (404, "NoSuchUpload".to_owned()));
        }
        eventually("no files", || f.data_files().is_empty()).await;
    }
}
