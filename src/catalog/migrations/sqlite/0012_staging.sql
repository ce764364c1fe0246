-- What an attempt is for: `upload` of an image's data, or `stage` of data for an import.
ALTER TABLE uploads ADD COLUMN purpose TEXT NOT NULL DEFAULT 'upload';

-- Data of an image that is not its own yet: staged for an import, or a copy that an import has made. Such bytes count as the
-- owner's from the start. Position 0 is what was staged, which counts as an upload under way until the import has ended.
CREATE TABLE staged_objects (
    image_id   TEXT   NOT NULL REFERENCES images (id),
    position   BIGINT NOT NULL,
    store      TEXT   NOT NULL,
    object_key TEXT   NOT NULL,
    etag       TEXT,
    size       BIGINT NOT NULL,
    -- What was found out about the data, and what the inspection says of it, as JSON.
    reviewed   TEXT   NOT NULL,
    PRIMARY KEY (image_id, position)
);
CREATE UNIQUE INDEX staged_objects_by_key ON staged_objects (store, object_key);

-- Of `bytes` and `reserved_bytes`, what is staged or being staged.
ALTER TABLE project_usage ADD COLUMN staged_bytes BIGINT NOT NULL DEFAULT 0;
