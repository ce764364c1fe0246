-- What each project holds, changed in the transaction of what it counts, so that a check costs the same with any number of
-- images. The project is empty for what has no owner.
CREATE TABLE project_usage (
    project        TEXT   NOT NULL PRIMARY KEY,
    -- Of data, once per copy.
    bytes          BIGINT NOT NULL,
    -- Of uploads under way.
    reserved_bytes BIGINT NOT NULL,
    images         BIGINT NOT NULL,
    uploads        BIGINT NOT NULL
);
INSERT INTO project_usage (project, bytes, reserved_bytes, images, uploads)
SELECT project, SUM(bytes), SUM(reserved_bytes), SUM(images), SUM(uploads)
  FROM (SELECT COALESCE(owner, '') AS project, 0 AS bytes, 0 AS reserved_bytes, 1 AS images, 0 AS uploads
          FROM images WHERE deleted_at IS NULL
        UNION ALL
        SELECT COALESCE(i.owner, ''), COALESCE(i.size, 0), 0, 0, 0
          FROM images i JOIN image_locations l ON l.image_id = i.id WHERE i.deleted_at IS NULL
        UNION ALL
        SELECT COALESCE(owner, ''), 0, reserved_bytes, 0, 1 FROM uploads) AS held
 GROUP BY project;
