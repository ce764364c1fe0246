//! More objects and records than are read at once.

use futures_util::StreamExt;

use super::*;

#[tokio::test]
async fn several_pages_are_compared_both_ways() {
    const IMAGES: u32 = 1300;
    let site = Site::start().await;
    let bucket = &site.app.bucket;
    let id = |n: u32| format!("{n:08x}-0000-4000-8000-000000000000");
    let put = bucket.s3.put_object().bucket(&bucket.name).key(&site.key);
    let etag = put.body(content::bytes(1000).into()).send().await.unwrap();
    let etag = etag.e_tag.unwrap();
    let database = site.app.database().await;
    let mut tx = database.begin().await.unwrap();
    for n in 0..IMAGES {
        sqlx::query(
            "INSERT INTO images (id, status, visibility, owner, protected, os_hidden, min_disk, min_ram, size, created_at, \
             updated_at) SELECT $1, status, visibility, owner, protected, os_hidden, min_disk, min_ram, size, created_at, \
             updated_at FROM images WHERE id = $2",
        )
        .bind(id(n))
        .bind(&site.image)
        .execute(&mut *tx)
        .await
        .unwrap();
        sqlx::query("INSERT INTO image_locations (image_id, position, store, object_key, etag) VALUES ($1, 0, 'main', $2, $3)")
            .bind(id(n))
            .bind(format!("{}/{ATTEMPT}", id(n)))
            .bind(&etag)
            .execute(&mut *tx)
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
    database.close().await;
    // All but one of every five hundred are there; two have no record.
    let there = (0..IMAGES + 2).filter(|n| n % 500 != 499);
    let puts = there.map(|n| {
        let key = format!("{}/{ATTEMPT}", id(n));
        async move { bucket.put(&key, content::bytes(1000)).await }
    });
    let puts = futures_util::stream::iter(puts).buffer_unordered(32);
    puts.for_each(async |()| {}).await;

    let told = site.fsck(&[]).await;
    assert_eq!(told.code, 1);
    let keys = |kind: &str| -> Vec<String> {
        let findings = told.of_type("finding").into_iter();
        let findings = findings.filter(|finding| finding["kind"] == kind);
        findings
            .map(|finding| finding["key"].as_str().unwrap()[..8].to_owned())
            .collect()
    };
    assert_eq!(keys("missing_object"), ["000001f3", "000003e7"]);
    assert_eq!(keys("orphaned_object"), ["00000514", "00000515"]);
    let summary = told.summary();
    assert_eq!(
        (&summary["objects"], &summary["copies"]),
        (&(IMAGES + 1).into(), &(IMAGES + 1).into())
    );
    // The images were put there behind the counters' back.
    assert_eq!(summary["found"], 5, "{summary}");
}
