//! What `--repair` says it would do, and does with `--yes`.

use super::*;

const YES: [&str; 2] = ["--repair", "--yes"];

/// Plans the repair of the one finding there is, which changes nothing; repairs it; and finds nothing any more.
async fn repair(site: &Site, kind: &str) {
    let planned = site.fsck(&["--repair"]).await;
    assert_eq!(planned.code, 1);
    assert_eq!(planned.finding(kind)["repair"]["outcome"], "planned");
    let again = site.fsck(&["--repair"]).await;
    assert_eq!(
        again.finding(kind)["repair"],
        planned.finding(kind)["repair"]
    );

    let done = site.fsck(&YES).await;
    assert_eq!(done.finding(kind)["repair"]["outcome"], "done", "{done:?}");
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(done.summary()["repaired"], 1);
    let after = site.fsck(&["--verify"]).await;
    after.assert_sound();
    assert!(after.of_type("left").is_empty(), "{after:?}");
}

#[tokio::test]
async fn orphan_that_is_a_day_old_is_removed() {
    let mut site = Site::start().await;
    let key = site.orphan().await;
    let told = site.fsck(&YES).await;
    assert_eq!(told.code, 1);
    assert_eq!(told.finding("orphaned_object")["repair"]["outcome"], "left");
    assert_eq!(site.app.bucket.keys().await.len(), 2);

    site.embedded = site.embedded.with_older(&key, DAY).await;
    repair(&site, "orphaned_object").await;
    let keys = site.app.bucket.keys().await;
    assert_eq!(keys.into_iter().collect::<Vec<_>>(), [site.key.clone()]);
    assert_eq!(site.number("SELECT COUNT(*) FROM garbage").await, 0);
}

#[tokio::test]
async fn orphan_of_an_image_that_was_deleted_is_removed() {
    let mut site = Site::start().await;
    let key = site.orphan().await;
    site.app.restart().await;
    let gone = site
        .app
        .client
        .delete(&format!("/v2/images/{}", site.image))
        .await;
    assert_eq!(gone.status, 204);
    site.app.shut_down().await;
    site.embedded = site.embedded.with_older(&key, DAY).await;
    let told = site.fsck(&YES).await;
    assert_eq!(told.finding("orphaned_object")["image_status"], "deleted");
    assert!(site.app.bucket.keys().await.is_empty());
}

/// What a catalog that was restored from an older backup does not know is the last trace of its images.
#[tokio::test]
async fn object_of_an_image_that_was_never_here_is_not_removed() {
    let mut site = Site::start().await;
    let key = format!("01234567-0000-4000-8000-000000000000/{ATTEMPT}");
    site.app.bucket.put(&key, content::bytes(9)).await;
    site.embedded = site.embedded.with_older(&key, 30 * DAY).await;
    let told = site.fsck(&YES).await;
    assert_eq!(told.code, 1);
    let finding = told.finding("orphaned_object");
    assert_eq!(finding["image_status"], Value::Null);
    assert_eq!(finding["repair"]["outcome"], "left");
    assert!(site.app.bucket.keys().await.contains(&key));
}

#[tokio::test]
async fn multipart_upload_that_is_a_day_old_is_aborted() {
    let mut site = Site::start().await;
    let key = site.open_multipart().await;
    let told = site.fsck(&YES).await;
    assert_eq!(told.finding("open_multipart")["repair"]["outcome"], "left");
    assert_eq!(site.app.bucket.open_uploads().await.len(), 1);

    site.embedded = site.embedded.with_older(&key, DAY).await;
    repair(&site, "open_multipart").await;
    assert!(site.app.bucket.open_uploads().await.is_empty());
}

#[tokio::test]
async fn counters_are_set_to_what_is_counted() {
    let site = Site::start().await;
    let wrong = "UPDATE project_usage SET bytes = 1, reserved_bytes = 2, images = 3, uploads = 4";
    for statement in [wrong, "DELETE FROM project_usage"] {
        site.sql(statement, &[]).await;
        repair(&site, "wrong_usage").await;
        assert_eq!(site.number("SELECT bytes FROM project_usage").await, 1000);
    }
}

#[tokio::test]
async fn abandoned_upload_is_settled_back_and_its_bytes_go() {
    let mut site = Site::start().await;
    let (image, key) = site.abandoned_upload().await;
    let bucket = &site.app.bucket;
    let delete = bucket.s3.delete_object().bucket(&bucket.name);
    delete.key(&site.key).send().await.unwrap();
    bucket.put(&key, content::bytes(5)).await;
    repair_with_object(&site).await;
    assert!(site.app.bucket.keys().await.is_empty());
    site.app.restart().await;
    assert_eq!(site.app.client.status(&image).await, "queued");
    site.app.shut_down().await;
}

/// The same as [`repair`], where the object is told to be of an upload under way.
async fn repair_with_object(site: &Site) {
    let planned = site.fsck(&["--repair"]).await;
    assert_eq!(planned.left(), ["under_way"]);
    assert_eq!(
        planned.finding("abandoned_upload")["repair"]["outcome"],
        "planned"
    );
    let done = site.fsck(&YES).await;
    assert_eq!(
        done.finding("abandoned_upload")["repair"]["outcome"],
        "done",
        "{done:?}"
    );
    site.fsck(&[]).await.assert_sound();
}

#[tokio::test]
async fn image_in_saving_without_an_upload_is_queued_again() {
    let mut site = Site::start().await;
    let (image, _) = site.abandoned_upload().await;
    site.sql("DELETE FROM uploads", &[]).await;
    site.sql("UPDATE project_usage SET uploads = 0", &[]).await;
    let bucket = &site.app.bucket;
    let delete = bucket.s3.delete_object().bucket(&bucket.name);
    delete.key(&site.key).send().await.unwrap();
    repair(&site, "stuck_image").await;
    site.app.restart().await;
    assert_eq!(site.app.client.status(&image).await, "queued");
    site.app.shut_down().await;
}
