//! Listings: order, groups, pages.

use aws_sdk_s3::types::EncodingType;

use super::*;

/// Keys and groups of a whole listing, page by page.
async fn list(
    f: &Fixture,
    prefix: &str,
    delimiter: Option<&str>,
    max: i32,
) -> (Vec<String>, Vec<String>) {
    let (mut keys, mut groups, mut token) = (Vec::new(), Vec::new(), None);
    loop {
        let request = f
            .client
            .list_objects_v2()
            .bucket(BUCKET)
            .prefix(prefix)
            .max_keys(max);
        let page = request
            .set_delimiter(delimiter.map(str::to_owned))
            .set_continuation_token(token)
            .send()
            .await
            .unwrap();
        let count = page.contents().len() + page.common_prefixes().len();
        assert_eq!(page.key_count(), Some(count as i32));
        assert!(count <= max as usize);
        keys.extend(
            page.contents()
                .iter()
                .map(|object| object.key().unwrap().to_owned()),
        );
        groups.extend(
            page.common_prefixes()
                .iter()
                .map(|group| group.prefix().unwrap().to_owned()),
        );
        token = page.next_continuation_token().map(str::to_owned);
        assert_eq!(page.is_truncated(), Some(token.is_some()));
        if token.is_none() {
            return (keys, groups);
        }
    }
}

#[tokio::test]
async fn objects_are_listed_in_the_order_of_their_bytes() {
    let f = Fixture::new().await;
    let mut keys = vec![
        "b", "a/2", "a/1", "a", "a-", "a/1/x", "z", "Z", "ä", "日本", "a0",
    ];
    for key in &keys {
        f.put(key, key.as_bytes().to_vec()).await;
    }
    keys.sort_unstable();
    for max in [1, 2, 3, 1000] {
        assert_eq!(list(&f, "", None, max).await.0, keys, "{max}");
        assert_eq!(list(&f, "a/", None, max).await.0, ["a/1", "a/1/x", "a/2"]);
        let (items, groups) = list(&f, "", Some("/"), max).await;
        assert_eq!(
            items,
            ["Z", "a", "a-", "a0", "b", "z", "ä", "日本"],
            "{max}"
        );
        assert_eq!(groups, ["a/"], "{max}");
        let (items, groups) = list(&f, "a/", Some("/"), max).await;
        assert_eq!(
            (items, groups),
            (
                vec!["a/1".to_owned(), "a/2".to_owned()],
                vec!["a/1/".to_owned()]
            )
        );
    }
    assert_eq!(list(&f, "nothing", None, 10).await.0, Vec::<String>::new());

    let after = f
        .client
        .list_objects_v2()
        .bucket(BUCKET)
        .start_after("a/1")
        .send()
        .await
        .unwrap();
    assert_eq!(after.contents()[0].key(), Some("a/1/x"));
    assert_eq!(after.contents()[0].size(), Some(5));
    // A start before the prefix, and one that is the prefix, lose nothing of it.
    for start in ["A", "a/"] {
        let from = f
            .client
            .list_objects_v2()
            .bucket(BUCKET)
            .prefix("a/")
            .delimiter("/")
            .start_after(start);
        let page = from.send().await.unwrap();
        let found: Vec<_> = page
            .contents()
            .iter()
            .map(|object| object.key().unwrap())
            .collect();
        assert_eq!(found, ["a/1", "a/2"]);
    }
    let none = f
        .client
        .list_objects_v2()
        .bucket(BUCKET)
        .max_keys(0)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (none.is_truncated(), none.key_count()),
        (Some(false), Some(0))
    );
    let bad = f
        .client
        .list_objects_v2()
        .bucket(BUCKET)
        .continuation_token("zz")
        .send()
        .await;
    assert_refused(bad, 400, "InvalidArgument");
}

#[tokio::test]
async fn the_first_version_of_the_listing_pages_too() {
    let f = Fixture::new().await;
    for key in ["a", "b/1", "b/2", "c"] {
        f.put(key, content(1)).await;
    }
    let request = || {
        f.client
            .list_objects()
            .bucket(BUCKET)
            .delimiter("/")
            .max_keys(2)
    };
    let first = request().send().await.unwrap();
    assert_eq!(first.contents()[0].key(), Some("a"));
    assert_eq!(first.common_prefixes()[0].prefix(), Some("b/"));
    assert_eq!(first.next_marker(), Some("b/"));
    let second = request().marker("b/").send().await.unwrap();
    assert_eq!(second.contents()[0].key(), Some("c"));
    assert_eq!(second.is_truncated(), Some(false));
}

#[tokio::test]
async fn keys_can_be_asked_for_percent_encoded() {
    let f = Fixture::new().await;
    f.put("a b/\u{1}+ü", content(1)).await;
    let listed = f
        .client
        .list_objects_v2()
        .bucket(BUCKET)
        .encoding_type(EncodingType::Url)
        .send()
        .await
        .unwrap();
    assert_eq!(listed.contents()[0].key(), Some("a%20b/%01%2B%C3%BC"));
}

#[tokio::test]
async fn parts_are_listed_in_pages() {
    let f = Fixture::new().await;
    let id = f.create_upload("a").await;
    for number in [9, 1, 4] {
        f.upload_part("a", &id, number, content(number as usize))
            .await;
    }
    // Across a restart the parts are still those of the upload.
    let f = f.restart_after(|_| {}).await;
    let request = || {
        f.client
            .list_parts()
            .bucket(BUCKET)
            .key("a")
            .upload_id(&id)
            .max_parts(2)
    };
    let first = request().send().await.unwrap();
    let seen: Vec<_> = first
        .parts()
        .iter()
        .map(|part| (part.part_number(), part.size()))
        .collect();
    assert_eq!(seen, [(Some(1), Some(1)), (Some(4), Some(4))]);
    assert_eq!(
        (first.is_truncated(), first.next_part_number_marker()),
        (Some(true), Some("4"))
    );
    let second = request().part_number_marker("4").send().await.unwrap();
    assert_eq!(second.parts().len(), 1);
    assert_eq!(second.is_truncated(), Some(false));
    let etag = second.parts()[0].e_tag().unwrap();
    let last = CompletedPart::builder().part_number(9).e_tag(etag).build();
    f.complete("a", &id, vec![last]).await.unwrap();
    assert_eq!(f.get("a").await, content(9));
}

#[tokio::test]
async fn uploads_are_listed_in_pages() {
    let f = Fixture::new().await;
    let mut expected = Vec::new();
    for key in ["b/1", "a", "b/1", "b/2", "c"] {
        expected.push((key.to_owned(), f.create_upload(key).await));
    }
    // By key, and those of one key by age, which is the order they were made in.
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    for max in [1, 2, 1000] {
        let (mut seen, mut key_marker, mut id_marker) = (Vec::new(), None, None);
        loop {
            let request = f
                .client
                .list_multipart_uploads()
                .bucket(BUCKET)
                .max_uploads(max);
            let page = request
                .set_key_marker(key_marker)
                .set_upload_id_marker(id_marker)
                .send()
                .await
                .unwrap();
            let uploads = page.uploads().iter();
            seen.extend(uploads.map(|u| {
                (
                    u.key().unwrap().to_owned(),
                    u.upload_id().unwrap().to_owned(),
                )
            }));
            if page.is_truncated() == Some(false) {
                break;
            }
            (key_marker, id_marker) = (page.next_key_marker, page.next_upload_id_marker);
        }
        assert_eq!(seen, expected, "{max}");
    }
    let some = f
        .client
        .list_multipart_uploads()
        .bucket(BUCKET)
        .prefix("b/")
        .send()
        .await
        .unwrap();
    assert_eq!(some.uploads().len(), 3);
    let behind = f
        .client
        .list_multipart_uploads()
        .bucket(BUCKET)
        .key_marker("b/1")
        .send()
        .await
        .unwrap();
    assert_eq!(behind.uploads()[0].key(), Some("b/2"));
    let grouped = f
        .client
        .list_multipart_uploads()
        .bucket(BUCKET)
        .delimiter("/")
        .send()
        .await
        .unwrap();
    assert_eq!(grouped.common_prefixes()[0].prefix(), Some("b/"));
    assert_eq!(grouped.uploads().len(), 2);
}

#[tokio::test]
async fn an_upload_marker_before_the_prefix_hides_nothing() {
    let f = Fixture::new().await;
    let marker = f.create_upload("a").await;
    f.create_upload("b").await;
    let wanted = f.create_upload("c/1").await;
    let request = f.client.list_multipart_uploads().bucket(BUCKET);
    let request = request.prefix("c/").key_marker("a");
    let page = request.upload_id_marker(&marker).send().await.unwrap();
    assert_eq!(page.uploads()[0].upload_id(), Some(&*wanted));
}
