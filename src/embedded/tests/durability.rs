//! Restarts, also those after a crash: the directory is put into the state that a kill at some instruction leaves.

use super::*;

#[tokio::test]
async fn objects_and_open_uploads_survive_a_restart() {
    let f = Fixture::new().await;
    f.put("whole", content(MIB)).await;
    let (etag, body) = f.put_in_parts("parts").await;
    let create = f
        .client
        .create_multipart_upload()
        .bucket(BUCKET)
        .key("open")
        .metadata("image-id", "42");
    let id = create.send().await.unwrap().upload_id.unwrap();
    let first = f.upload_part("open", &id, 1, content(5 * MIB)).await;

    let f = f.restart_after(|_| {}).await;
    assert!(f.get("whole").await == content(MIB));
    assert!(f.get("parts").await == body);
    let head = f
        .client
        .head_object()
        .bucket(BUCKET)
        .key("parts")
        .send()
        .await
        .unwrap();
    assert_eq!(head.e_tag(), Some(&*etag));
    let second = f.upload_part("open", &id, 2, content(7)).await;
    f.complete("open", &id, vec![first, second]).await.unwrap();
    let head = f
        .client
        .head_object()
        .bucket(BUCKET)
        .key("open")
        .send()
        .await
        .unwrap();
    assert_eq!(head.content_length(), Some(5 * MIB as i64 + 7));
    assert_eq!(head.metadata().unwrap()["image-id"], "42");
}

#[tokio::test]
async fn killed_before_the_commit_the_old_object_stays_and_the_rest_goes() {
    let f = Fixture::new().await;
    f.put("a", content(10)).await;
    let data = f.data();
    let f = f
        .restart_after(|dir| {
            std::fs::write(dir.join("tmp/half"), content(100)).unwrap();
            std::fs::create_dir(data.join("orphan")).unwrap();
            std::fs::write(
                data.join("orphan/00001-0000000001-d41d8cd98f00b204e9800998ecf8427e"),
                b"",
            )
            .unwrap();
            std::fs::create_dir_all(dir.join("buckets/half-made/objects")).unwrap();
        })
        .await;
    assert_eq!(f.data_files().len(), 1);
    assert_eq!(f.get("a").await, content(10));
    assert_eq!(
        f.client
            .list_buckets()
            .send()
            .await
            .unwrap()
            .buckets()
            .len(),
        1
    );
    assert!(!f.dir.path().join("buckets/half-made").exists());
}

#[tokio::test]
async fn killed_after_the_commit_the_new_object_is_there_and_the_upload_is_not() {
    let f = Fixture::new().await;
    let (etag, body) = f.put_in_parts("a").await;
    let part = f.data_files().remove(0);
    let f = f
        .restart_after(|_| {
            let dir = part.parent().unwrap();
            let record = r#"{"key":"a","initiated":0,"headers":{}}"#;
            std::fs::write(dir.join("upload.json"), record).unwrap();
            std::fs::write(
                dir.join("00003-0000000003-d41d8cd98f00b204e9800998ecf8427e"),
                b"",
            )
            .unwrap();
        })
        .await;
    assert!(f.get("a").await == body);
    let head = f
        .client
        .head_object()
        .bucket(BUCKET)
        .key("a")
        .send()
        .await
        .unwrap();
    assert_eq!(head.e_tag(), Some(&*etag));
    assert_eq!(f.data_files().len(), 2);
    let uploads = f
        .client
        .list_multipart_uploads()
        .bucket(BUCKET)
        .send()
        .await
        .unwrap();
    assert_eq!(uploads.uploads().len(), 0);
}

#[tokio::test]
async fn killed_while_a_part_was_replaced_the_newer_counts() {
    let f = Fixture::new().await;
    let id = f.create_upload("a").await;
    f.upload_part("a", &id, 1, content(100)).await;
    let older = f
        .data()
        .join(&id)
        .join("00001-0000000000-d41d8cd98f00b204e9800998ecf8427e");
    let f = f
        .restart_after(|_| std::fs::write(&older, b"").unwrap())
        .await;
    assert!(!older.exists());
    let parts = f
        .client
        .list_parts()
        .bucket(BUCKET)
        .key("a")
        .upload_id(&id)
        .send()
        .await
        .unwrap();
    assert_eq!(parts.parts()[0].size(), Some(100));
    // The sequence goes on behind what was found.
    let newer = f.upload_part("a", &id, 1, content(50)).await;
    let f = f.restart_after(|_| {}).await;
    f.complete("a", &id, vec![newer]).await.unwrap();
    assert_eq!(f.get("a").await, content(50));
}

#[tokio::test]
async fn a_directory_that_cannot_be_understood_is_left_alone() {
    use crate::embedded::Error;

    let f = Fixture::new().await;
    f.put("a", content(10)).await;
    let objects = f.dir.path().join("buckets").join(BUCKET).join("objects");
    let manifest = files(&objects).remove(0);
    f.store.stop().await;

    let sound = std::fs::read(&manifest).unwrap();
    std::fs::write(&manifest, b"{").unwrap();
    let damaged = EmbeddedStore::start(f.dir.path(), ANY_PORT).await;
    assert!(
        matches!(&damaged, Err(Error::Damaged { path, .. }) if *path == manifest),
        "{damaged:?}"
    );
    std::fs::write(&manifest, sound).unwrap();

    let format = f.dir.path().join("format");
    std::fs::write(&format, "2").unwrap();
    let newer = EmbeddedStore::start(f.dir.path(), ANY_PORT).await;
    assert!(
        matches!(&newer, Err(Error::Layout { found, .. }) if found == "2"),
        "{newer:?}"
    );
    std::fs::write(&format, "1").unwrap();

    let store = EmbeddedStore::start(f.dir.path(), ANY_PORT).await.unwrap();
    let head = client(&store)
        .head_object()
        .bucket(BUCKET)
        .key("a")
        .send()
        .await
        .unwrap();
    assert_eq!(head.content_length(), Some(10));
}
