//! Each kind of finding, made by hand; and what is none.

use super::*;

#[tokio::test]
async fn clean_site_gives_nothing() {
    let site = Site::start().await;
    let told = site.fsck(&["--verify"]).await;
    told.assert_sound();
    assert_eq!(told.lines.len(), 1, "{told:?}");
    let summary = told.summary();
    assert_eq!(
        (&summary["objects"], &summary["copies"]),
        (&1.into(), &1.into())
    );
    assert_eq!(summary["verified_bytes"], 1000);
}

#[tokio::test]
async fn object_that_no_record_knows_is_found_with_its_ids() {
    let site = Site::start().await;
    let key = site.orphan().await;
    let told = site.fsck(&[]).await;
    assert_eq!(told.code, 1);
    let finding = told.finding("orphaned_object");
    assert_eq!(finding["store"], "main");
    assert_eq!(finding["key"], key);
    assert_eq!(finding["size_bytes"], 123);
    assert!(finding["age_seconds"].as_u64().unwrap() < 600, "{finding}");
    assert_eq!(finding["image"], site.image);
    assert_eq!(finding["attempt"], ATTEMPT);
    assert_eq!(finding["image_status"], "active");
    assert!(finding.get("repair").is_none(), "{finding}");
}

#[tokio::test]
async fn object_is_named_by_its_metadata_when_it_has_any() {
    let site = Site::start().await;
    let key = format!("{}/{ATTEMPT}", site.image);
    let bucket = &site.app.bucket;
    let put = bucket.s3.put_object().bucket(&bucket.name).key(&key);
    let put = put
        .metadata("oriel-image-id", "i")
        .metadata("oriel-attempt-id", "a");
    put.body(content::bytes(5).into()).send().await.unwrap();
    let told = site.fsck(&[]).await;
    let finding = told.finding("orphaned_object");
    assert_eq!(
        (&finding["image"], &finding["attempt"]),
        (&"i".into(), &"a".into())
    );
}

#[tokio::test]
async fn what_is_young_or_not_ours_is_left_alone_and_told() {
    let site = Site::start().await;
    site.orphan().await;
    site.open_multipart().await;
    site.app.bucket.put("z-backup.tar", content::bytes(9)).await;
    let told = site.fsck_plainly(&[]).await;
    told.assert_sound();
    assert_eq!(told.left(), ["young", "foreign", "young"]);
    assert_eq!(told.summary()["left"]["young"], 2);
}

#[tokio::test]
async fn what_stands_in_the_garbage_list_is_told_and_no_finding() {
    let site = Site::start().await;
    let key = site.orphan().await;
    site.open_multipart().await;
    let row =
        "INSERT INTO garbage (store, object_key, upload_id, due_at) VALUES ('main', $1, NULL, 0)";
    site.sql(row, &[&key]).await;
    let told = site.fsck(&[]).await;
    told.assert_sound();
    assert_eq!(told.left(), ["garbage", "garbage"]);
}

#[tokio::test]
async fn record_whose_object_is_missing_is_found_and_only_told() {
    let site = Site::start().await;
    let bucket = &site.app.bucket;
    let delete = bucket.s3.delete_object().bucket(&bucket.name);
    delete.key(&site.key).send().await.unwrap();
    for mode in [&["--repair", "--yes"][..], &["--verify"], &[]] {
        let told = site.fsck(mode).await;
        assert_eq!(told.code, 1);
        let finding = told.finding("missing_object");
        assert_eq!(
            (&finding["key"], &finding["image"]),
            (&site.key.clone().into(), &site.image.clone().into())
        );
        assert_eq!(finding["image_status"], "active");
        let is_repair = mode.contains(&"--repair");
        assert_eq!(
            finding["repair"]["outcome"] == "left",
            is_repair,
            "{finding}"
        );
    }
    assert_eq!(site.number("SELECT COUNT(*) FROM image_locations").await, 1);
    // The same of an image that is out of use, and not of one without data.
    site.sql(
        "UPDATE images SET status = 'deactivated' WHERE id = $1",
        &[&site.image],
    )
    .await;
    assert_eq!(
        site.fsck(&[]).await.finding("missing_object")["image_status"],
        "deactivated"
    );
}

#[tokio::test]
async fn record_whose_object_has_another_size_or_etag_is_found() {
    let site = Site::start().await;
    site.app.bucket.put(&site.key, content::bytes(999)).await;
    let told = site.fsck(&[]).await;
    let finding = told.finding("wrong_size");
    assert_eq!(
        (&finding["recorded"], &finding["found"]),
        (&1000.into(), &999.into())
    );
    assert_eq!(told.code, 1);

    site.app.bucket.put(&site.key, other_bytes()).await;
    let told = site.fsck(&[]).await;
    let finding = told.finding("wrong_etag");
    assert_ne!(finding["recorded"], finding["found"]);
    assert_eq!(told.code, 1);
}

#[tokio::test]
async fn image_with_data_by_its_status_and_without_a_location_is_found() {
    let site = Site::start().await;
    site.sql(
        "DELETE FROM image_locations WHERE image_id = $1",
        &[&site.image],
    )
    .await;
    site.sql("UPDATE project_usage SET bytes = 0", &[]).await;
    let told = site.fsck_plainly(&[]).await;
    assert_eq!(told.finding("no_location")["image"], site.image);
    assert_eq!(told.code, 1);
}

#[tokio::test]
async fn records_in_a_store_that_is_not_configured_are_told() {
    let site = Site::start().await;
    site.sql(
        "UPDATE image_locations SET store = 'retired' WHERE image_id = $1",
        &[&site.image],
    )
    .await;
    let told = site.fsck_plainly(&[]).await;
    let finding = told.finding("unknown_store");
    assert_eq!(
        (&finding["store"], &finding["copies"]),
        (&"retired".into(), &1.into())
    );
}

#[tokio::test]
async fn counters_that_do_not_add_up_are_found() {
    let site = Site::start().await;
    for (statement, counter) in [
        ("UPDATE project_usage SET bytes = bytes + 1", "bytes"),
        (
            "UPDATE project_usage SET bytes = bytes - 1, reserved_bytes = 5",
            "reserved",
        ),
        (
            "UPDATE project_usage SET reserved_bytes = 0, images = 7",
            "images",
        ),
        (
            "UPDATE project_usage SET images = 1, uploads = -1",
            "uploads",
        ),
    ] {
        site.sql(statement, &[]).await;
        let told = site.fsck(&[]).await;
        assert_eq!(told.code, 1);
        let finding = told.finding("wrong_usage");
        let (recorded, counted) = (&finding["recorded"], &finding["counted"]);
        assert_ne!(recorded[counter], counted[counter], "{finding}");
        assert_eq!(
            (&counted["bytes"], &counted["images"]),
            (&1000.into(), &1.into())
        );
    }
    // Of a project without a row as well.
    site.sql("DELETE FROM project_usage", &[]).await;
    assert_eq!(
        site.fsck(&[]).await.finding("wrong_usage")["recorded"]["images"],
        0
    );
}

#[tokio::test]
async fn upload_that_nobody_works_on_is_found() {
    let site = Site::start().await;
    let (image, key) = site.abandoned_upload().await;
    let told = site.fsck_plainly(&[]).await;
    let finding = told.finding("abandoned_upload");
    assert_eq!(
        (&finding["image"], &finding["key"]),
        (&image.into(), &key.into())
    );
    assert_eq!(finding["attempt"], ATTEMPT);
    assert!(finding["lapsed_seconds"].as_u64().unwrap() > 600);
    assert_eq!(told.code, 1);
}

#[tokio::test]
async fn image_in_saving_without_an_upload_is_found() {
    let site = Site::start().await;
    site.abandoned_upload().await;
    site.sql("DELETE FROM uploads", &[]).await;
    site.sql("UPDATE project_usage SET uploads = 0", &[]).await;
    let told = site.fsck_plainly(&[]).await;
    assert_eq!(told.finding("stuck_image")["image"], site.image);
    assert_eq!(told.code, 1);
}

#[tokio::test]
async fn multipart_upload_of_no_attempt_is_found() {
    let site = Site::start().await;
    let key = site.open_multipart().await;
    let told = site.fsck(&[]).await;
    let finding = told.finding("open_multipart");
    assert_eq!(finding["key"], key);
    assert_eq!(
        (&finding["image"], &finding["attempt"]),
        (&site.image.clone().into(), &ATTEMPT.into())
    );
    assert!(!finding["upload_id"].as_str().unwrap().is_empty());
    assert_eq!(told.code, 1);
}

#[tokio::test]
async fn data_that_is_not_what_the_record_says_is_found_by_reading_it() {
    let site = Site::start().await;
    for (statement, attribute) in [
        (
            "UPDATE images SET os_hash_value = 'ab' WHERE id = $1",
            "os_hash_value",
        ),
        (
            "UPDATE images SET checksum = 'cd' WHERE id = $1",
            "checksum",
        ),
    ] {
        site.sql(statement, &[&site.image]).await;
        site.fsck(&[]).await.assert_sound();
        let told = site.fsck(&["--verify", "--rate", "1MiB"]).await;
        let finding = told.finding("wrong_digest");
        assert_eq!(finding["attribute"], attribute);
        assert_ne!(finding["recorded"], finding["found"]);
        assert_eq!(told.code, 1);
    }
}

#[tokio::test]
async fn text_has_a_line_a_finding_and_a_summary() {
    let site = Site::start().await;
    let key = site.orphan().await;
    let config = site.app.config_file();
    let arguments = [
        "fsck",
        "--config",
        config.to_str().unwrap(),
        "--min-age",
        "0s",
    ];
    let output = eventually("the catalog is free", async || {
        let output = oriel(&arguments).await;
        (!output.stderr.contains("in use by another process")).then_some(output)
    })
    .await;
    let lines: Vec<&str> = output.stdout.lines().collect();
    let begin = format!("FAULT orphaned_object: main {key}: 123 bytes, ");
    assert!(lines[0].starts_with(&begin), "{output:?}");
    let end =
        "2 objects and 1 recorded copies compared; 1 found, 0 repaired; found: orphaned_object 1";
    assert_eq!(lines[1..], [end]);
}
