//! What has to be true of a catalog in PostgreSQL and its bucket once everybody has finished.

use std::collections::BTreeSet;

use sqlx::{PgPool, Row};

use super::eventually;
use super::store::Bucket;

/// What each project holds by its counters, and by counting.
const USAGE: &str = "\
    SELECT project, \
      ROW(bytes, reserved_bytes, images, uploads, staged_bytes)::TEXT AS kept, \
      ROW((SELECT COALESCE(SUM(i.size), 0)::BIGINT FROM images i JOIN image_locations l ON l.image_id = i.id \
             WHERE COALESCE(i.owner, '') = project) + (SELECT COALESCE(SUM(s.size), 0)::BIGINT FROM images i \
             JOIN staged_objects s ON s.image_id = i.id WHERE COALESCE(i.owner, '') = project), \
          (SELECT COALESCE(SUM(u.reserved_bytes), 0)::BIGINT FROM uploads u WHERE COALESCE(u.owner, '') = project), \
          (SELECT COUNT(*) FROM images i WHERE COALESCE(i.owner, '') = project AND i.deleted_at IS NULL), \
          (SELECT COUNT(*) FROM uploads u WHERE COALESCE(u.owner, '') = project AND u.purpose <> 'copy'), 0)::TEXT AS counted \
    FROM project_usage";

/// Waits until no upload is under way and the bucket holds what the records say, to the object; then compares the counters.
pub async fn until_settled(pool: &PgPool, bucket: &Bucket) {
    eventually("no image stuck, no object or part orphaned", async || {
        let under_way = "SELECT (SELECT COUNT(*) FROM images WHERE deleted_at IS NULL \
            AND status NOT IN ('queued', 'active', 'deactivated')) + (SELECT COUNT(*) FROM uploads)";
        let under_way: i64 = sqlx::query_scalar(under_way).fetch_one(pool).await.unwrap();
        let known: Vec<String> = sqlx::query_scalar("SELECT object_key FROM image_locations")
            .fetch_all(pool)
            .await
            .unwrap();
        let is_whole = bucket.keys().await == BTreeSet::from_iter(known);
        (under_way == 0 && is_whole && bucket.open_uploads().await.is_empty()).then_some(())
    })
    .await;
    let rows = sqlx::query(USAGE).fetch_all(pool).await.unwrap();
    for row in rows {
        let [project, kept, counted]: [String; 3] =
            ["project", "kept", "counted"].map(|column| row.get(column));
        assert_eq!(kept, counted, "what {project:?} holds");
    }
}

/// Bytes of data of the project that has most of them.
pub async fn most_bytes(pool: &PgPool) -> sqlx::Result<u64> {
    let most = "SELECT COALESCE(MAX(bytes), 0) FROM (SELECT SUM(i.size)::BIGINT AS bytes FROM images i \
        JOIN image_locations l ON l.image_id = i.id GROUP BY i.owner) AS each";
    let most: i64 = sqlx::query_scalar(most).fetch_one(pool).await?;
    Ok(most.unsigned_abs())
}
