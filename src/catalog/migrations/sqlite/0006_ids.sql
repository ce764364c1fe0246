-- An id means the same in capitals and small letters, and is kept in small ones. Where two images had one id in different
-- letters, the one with capitals gets another.
PRAGMA defer_foreign_keys = ON;

CREATE TEMPORARY TABLE renamed AS
SELECT id AS old, lower(id) AS new FROM images WHERE id <> lower(id);
UPDATE renamed
   SET new = lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-a'
             || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))
 WHERE new IN (SELECT id FROM images) OR rowid NOT IN (SELECT min(rowid) FROM renamed GROUP BY new);

UPDATE images SET id = (SELECT new FROM renamed WHERE old = id) WHERE id IN (SELECT old FROM renamed);
UPDATE image_tags SET image_id = (SELECT new FROM renamed WHERE old = image_id) WHERE image_id IN (SELECT old FROM renamed);
UPDATE image_properties SET image_id = (SELECT new FROM renamed WHERE old = image_id) WHERE image_id IN (SELECT old FROM renamed);
UPDATE image_locations SET image_id = (SELECT new FROM renamed WHERE old = image_id) WHERE image_id IN (SELECT old FROM renamed);
UPDATE image_members SET image_id = (SELECT new FROM renamed WHERE old = image_id) WHERE image_id IN (SELECT old FROM renamed);
UPDATE uploads SET image_id = (SELECT new FROM renamed WHERE old = image_id) WHERE image_id IN (SELECT old FROM renamed);
UPDATE tasks SET image_id = (SELECT new FROM renamed WHERE old = image_id) WHERE image_id IN (SELECT old FROM renamed);
DROP TABLE renamed;
