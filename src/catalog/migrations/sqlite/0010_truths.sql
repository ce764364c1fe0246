-- The rare halves of two truths, in words that every database takes.
DROP INDEX images_hidden;
DROP INDEX images_protected;
CREATE INDEX images_hidden ON images (created_at, id) WHERE deleted_at IS NULL AND os_hidden = TRUE;
CREATE INDEX images_protected ON images (created_at, id) WHERE deleted_at IS NULL AND protected = TRUE;
