-- Times are microseconds since the Unix epoch, sizes are bytes, booleans are 0 or 1. Rows of deleted images stay, so
-- that an id is never given out twice.
CREATE TABLE images (
    id               TEXT    NOT NULL PRIMARY KEY,
    name             TEXT,
    status           TEXT    NOT NULL,
    visibility       TEXT    NOT NULL,
    owner            TEXT,
    protected        INTEGER NOT NULL,
    os_hidden        INTEGER NOT NULL,
    disk_format      TEXT,
    container_format TEXT,
    min_disk         BIGINT  NOT NULL,
    min_ram          BIGINT  NOT NULL,
    size             BIGINT,
    virtual_size     BIGINT,
    checksum         TEXT,
    os_hash_algo     TEXT,
    os_hash_value    TEXT,
    created_at       BIGINT  NOT NULL,
    updated_at       BIGINT  NOT NULL,
    deleted_at       BIGINT
);
CREATE INDEX images_by_age ON images (created_at DESC, id DESC) WHERE deleted_at IS NULL;
CREATE INDEX images_by_owner ON images (owner, created_at DESC, id DESC) WHERE deleted_at IS NULL;
CREATE INDEX images_by_visibility ON images (visibility, created_at DESC, id DESC) WHERE deleted_at IS NULL;

CREATE TABLE image_tags (
    image_id TEXT NOT NULL REFERENCES images (id),
    value    TEXT NOT NULL,
    PRIMARY KEY (image_id, value)
);

CREATE TABLE image_properties (
    image_id TEXT NOT NULL REFERENCES images (id),
    name     TEXT NOT NULL,
    value    TEXT,
    PRIMARY KEY (image_id, name)
);

CREATE TABLE image_locations (
    image_id   TEXT   NOT NULL REFERENCES images (id),
    position   BIGINT NOT NULL,
    store      TEXT   NOT NULL,
    object_key TEXT   NOT NULL,
    etag       TEXT,
    PRIMARY KEY (image_id, position)
);

-- One row per upload under way. Whoever finds one with an expired lease may end it, forward or back.
CREATE TABLE uploads (
    attempt_id     TEXT   NOT NULL PRIMARY KEY,
    image_id       TEXT   NOT NULL REFERENCES images (id),
    owner          TEXT,
    node           TEXT   NOT NULL,
    store          TEXT   NOT NULL,
    object_key     TEXT   NOT NULL,
    upload_id      TEXT,
    lease_until    BIGINT NOT NULL,
    reserved_bytes BIGINT NOT NULL,
    -- What the object must be for the upload to be rolled forward, as JSON; set just before the store is told to publish.
    intent         TEXT
);
CREATE INDEX uploads_by_lease ON uploads (lease_until);
CREATE INDEX uploads_by_owner ON uploads (owner);

-- Bytes that belong to no image any more, until the store has confirmed that they are gone.
CREATE TABLE garbage (
    object_key TEXT   NOT NULL,
    store      TEXT   NOT NULL,
    upload_id  TEXT,
    due_at     BIGINT NOT NULL,
    PRIMARY KEY (store, object_key)
);
CREATE INDEX garbage_by_age ON garbage (due_at);
