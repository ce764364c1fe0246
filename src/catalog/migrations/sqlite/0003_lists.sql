-- Lists are walked in their order or driven by their rarest condition; each index here serves one or the other. Those of
-- columns end in the default order, so that a list by one value is read in that order and needs no sorting.
DROP INDEX images_by_age;
DROP INDEX images_by_owner;
DROP INDEX images_by_visibility;
CREATE INDEX images_by_created_at ON images (created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX images_by_updated_at ON images (updated_at, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX images_by_id ON images (id) WHERE deleted_at IS NULL;
CREATE INDEX images_by_owner ON images (owner, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX images_by_visibility ON images (visibility, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX images_by_name ON images (name, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX images_by_status ON images (status, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX images_by_disk_format ON images (disk_format, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX images_by_container_format ON images (container_format, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX images_by_size ON images (size, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX images_by_checksum ON images (checksum) WHERE deleted_at IS NULL AND checksum IS NOT NULL;
CREATE INDEX images_by_os_hash_value ON images (os_hash_value) WHERE deleted_at IS NULL AND os_hash_value IS NOT NULL;
-- The rare halves of two truths.
CREATE INDEX images_hidden ON images (created_at, id) WHERE deleted_at IS NULL AND os_hidden = 1;
CREATE INDEX images_protected ON images (created_at, id) WHERE deleted_at IS NULL AND protected = 1;

-- The age of the image, which never changes, wherever images are found by something else: they are then read newest first.
ALTER TABLE image_tags ADD COLUMN created_at BIGINT NOT NULL DEFAULT 0;
UPDATE image_tags SET created_at = (SELECT i.created_at FROM images i WHERE i.id = image_id);
CREATE INDEX image_tags_by_value ON image_tags (value, created_at, image_id);

-- Values may be long; their beginnings tell them apart.
ALTER TABLE image_properties ADD COLUMN created_at BIGINT NOT NULL DEFAULT 0;
UPDATE image_properties SET created_at = (SELECT i.created_at FROM images i WHERE i.id = image_id);
CREATE INDEX image_properties_by_value ON image_properties (name, substr(value, 1, 64), created_at, image_id);

ALTER TABLE image_members ADD COLUMN image_created_at BIGINT NOT NULL DEFAULT 0;
UPDATE image_members SET image_created_at = (SELECT i.created_at FROM images i WHERE i.id = image_id);
DROP INDEX image_members_by_member;
CREATE INDEX image_members_by_member ON image_members (member_id, status, image_created_at, image_id);
