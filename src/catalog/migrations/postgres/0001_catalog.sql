-- Times are microseconds since the Unix epoch, sizes are bytes. Rows of deleted images stay, so that an id is never given
-- out twice. Texts compare by their bytes, as they do in memory and in the other databases. Indexes have nulls first, since
-- lists have them lowest.
CREATE TABLE images (
    id               TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name             TEXT COLLATE "C",
    status           TEXT COLLATE "C" NOT NULL,
    visibility       TEXT COLLATE "C" NOT NULL,
    owner            TEXT COLLATE "C",
    protected        BOOLEAN NOT NULL,
    os_hidden        BOOLEAN NOT NULL,
    disk_format      TEXT COLLATE "C",
    container_format TEXT COLLATE "C",
    min_disk         BIGINT  NOT NULL,
    min_ram          BIGINT  NOT NULL,
    size             BIGINT,
    virtual_size     BIGINT,
    checksum         TEXT COLLATE "C",
    os_hash_algo     TEXT COLLATE "C",
    os_hash_value    TEXT COLLATE "C",
    created_at       BIGINT  NOT NULL,
    updated_at       BIGINT  NOT NULL,
    deleted_at       BIGINT
);
-- Lists are walked in their order or driven by their rarest condition; each index here serves one or the other. Those of
-- columns end in the default order, so that a list by one value is read in that order and needs no sorting.
CREATE INDEX images_by_created_at ON images (created_at NULLS FIRST, id NULLS FIRST) WHERE deleted_at IS NULL;
CREATE INDEX images_by_updated_at ON images (updated_at NULLS FIRST, created_at NULLS FIRST, id NULLS FIRST) WHERE deleted_at IS NULL;
CREATE INDEX images_by_id ON images (id NULLS FIRST) WHERE deleted_at IS NULL;
CREATE INDEX images_by_owner ON images (owner NULLS FIRST, created_at NULLS FIRST, id NULLS FIRST) WHERE deleted_at IS NULL;
CREATE INDEX images_by_visibility ON images (visibility NULLS FIRST, created_at NULLS FIRST, id NULLS FIRST) WHERE deleted_at IS NULL;
CREATE INDEX images_by_name ON images (name NULLS FIRST, created_at NULLS FIRST, id NULLS FIRST) WHERE deleted_at IS NULL;
CREATE INDEX images_by_status ON images (status NULLS FIRST, created_at NULLS FIRST, id NULLS FIRST) WHERE deleted_at IS NULL;
CREATE INDEX images_by_disk_format ON images (disk_format NULLS FIRST, created_at NULLS FIRST, id NULLS FIRST) WHERE deleted_at IS NULL;
CREATE INDEX images_by_container_format ON images (container_format NULLS FIRST, created_at NULLS FIRST, id NULLS FIRST) WHERE deleted_at IS NULL;
CREATE INDEX images_by_size ON images (size NULLS FIRST, created_at NULLS FIRST, id NULLS FIRST) WHERE deleted_at IS NULL;
CREATE INDEX images_by_checksum ON images (checksum) WHERE deleted_at IS NULL AND checksum IS NOT NULL;
CREATE INDEX images_by_os_hash_value ON images (os_hash_value) WHERE deleted_at IS NULL AND os_hash_value IS NOT NULL;
CREATE INDEX images_hidden ON images (created_at NULLS FIRST, id NULLS FIRST) WHERE deleted_at IS NULL AND os_hidden = TRUE;
CREATE INDEX images_protected ON images (created_at NULLS FIRST, id NULLS FIRST) WHERE deleted_at IS NULL AND protected = TRUE;

-- The age of the image, which never changes, stands wherever images are found by something else: they are then read newest
-- first.
CREATE TABLE image_tags (
    image_id   TEXT COLLATE "C" NOT NULL REFERENCES images (id),
    value      TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (image_id, value)
);
CREATE INDEX image_tags_by_value ON image_tags (value, created_at NULLS FIRST, image_id NULLS FIRST);

-- Values may be long; their beginnings tell them apart.
CREATE TABLE image_properties (
    image_id   TEXT COLLATE "C" NOT NULL REFERENCES images (id),
    name       TEXT COLLATE "C" NOT NULL,
    value      TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    PRIMARY KEY (image_id, name)
);
CREATE INDEX image_properties_by_value
    ON image_properties (name, substr(value, 1, 64), created_at NULLS FIRST, image_id NULLS FIRST);

CREATE TABLE image_locations (
    image_id   TEXT COLLATE "C" NOT NULL REFERENCES images (id),
    position   BIGINT NOT NULL,
    store      TEXT COLLATE "C" NOT NULL,
    object_key TEXT COLLATE "C" NOT NULL,
    etag       TEXT COLLATE "C",
    PRIMARY KEY (image_id, position)
);

-- Projects that a shared image is shared with. Rows stay while the image is not shared, and count again when it is; they
-- go with the image.
CREATE TABLE image_members (
    image_id         TEXT COLLATE "C" NOT NULL REFERENCES images (id),
    member_id        TEXT COLLATE "C" NOT NULL,
    status           TEXT COLLATE "C" NOT NULL,
    created_at       BIGINT NOT NULL,
    updated_at       BIGINT NOT NULL,
    image_created_at BIGINT NOT NULL,
    PRIMARY KEY (image_id, member_id)
);
CREATE INDEX image_members_by_member
    ON image_members (member_id, status, image_created_at NULLS FIRST, image_id NULLS FIRST);

-- One row per upload under way. Whoever finds one with an expired lease may end it, forward or back.
CREATE TABLE uploads (
    attempt_id     TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    image_id       TEXT COLLATE "C" NOT NULL REFERENCES images (id),
    owner          TEXT COLLATE "C",
    node           TEXT COLLATE "C" NOT NULL,
    store          TEXT COLLATE "C" NOT NULL,
    object_key     TEXT COLLATE "C" NOT NULL,
    upload_id      TEXT COLLATE "C",
    lease_until    BIGINT NOT NULL,
    reserved_bytes BIGINT NOT NULL,
    -- What the object must be for the upload to be rolled forward, as JSON; set just before the store is told to publish.
    intent         TEXT COLLATE "C"
);
CREATE INDEX uploads_by_lease ON uploads (lease_until);
CREATE INDEX uploads_by_owner ON uploads (owner);

-- Bytes that belong to no image any more, until the store has confirmed that they are gone.
CREATE TABLE garbage (
    object_key TEXT COLLATE "C" NOT NULL,
    store      TEXT COLLATE "C" NOT NULL,
    upload_id  TEXT COLLATE "C",
    due_at     BIGINT NOT NULL,
    PRIMARY KEY (store, object_key)
);
CREATE INDEX garbage_by_store ON garbage (store, due_at);

-- What each project holds, changed in the transaction of what it counts. The project is empty for what has no owner.
CREATE TABLE project_usage (
    project        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    -- Of data, once per copy.
    bytes          BIGINT NOT NULL,
    -- Of uploads under way.
    reserved_bytes BIGINT NOT NULL,
    images         BIGINT NOT NULL,
    uploads        BIGINT NOT NULL
);

-- Metadata definitions. The id of a namespace stays when its name changes.
CREATE TABLE metadef_namespaces (
    id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name         TEXT COLLATE "C" NOT NULL UNIQUE,
    display_name TEXT COLLATE "C",
    description  TEXT COLLATE "C",
    visibility   TEXT COLLATE "C" NOT NULL,
    protected    BOOLEAN NOT NULL,
    owner        TEXT COLLATE "C",
    created_at   BIGINT  NOT NULL,
    updated_at   BIGINT  NOT NULL
);

-- Properties, objects, tags and associations with resource types: a name, unique among its kind in the namespace, and the
-- rest as JSON.
CREATE TABLE metadef_parts (
    namespace_id TEXT COLLATE "C" NOT NULL REFERENCES metadef_namespaces (id) ON DELETE CASCADE,
    kind         TEXT COLLATE "C" NOT NULL,
    name         TEXT COLLATE "C" NOT NULL,
    body         TEXT COLLATE "C" NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    PRIMARY KEY (namespace_id, kind, name)
);
CREATE INDEX metadef_parts_by_name ON metadef_parts (kind, name);

-- Every resource type that a namespace was ever associated with.
CREATE TABLE metadef_resource_types (
    name       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- Long work that was asked for. Input and result are JSON.
CREATE TABLE tasks (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    type       TEXT COLLATE "C" NOT NULL,
    status     TEXT COLLATE "C" NOT NULL,
    owner      TEXT COLLATE "C",
    input      TEXT COLLATE "C",
    result     TEXT COLLATE "C",
    message    TEXT COLLATE "C" NOT NULL,
    image_id   TEXT COLLATE "C",
    request_id TEXT COLLATE "C",
    user_id    TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    expires_at BIGINT
);
CREATE INDEX tasks_by_age ON tasks (created_at, id);
CREATE INDEX tasks_by_image ON tasks (image_id, created_at, id);

-- One row that is written to find out whether writes succeed again.
CREATE TABLE signs (
    id INTEGER NOT NULL PRIMARY KEY,
    at BIGINT  NOT NULL
);

-- Images that transactions have changed, for the servers to drop them from memory. Rows are kept for some minutes.
CREATE TABLE changes (
    xid      XID8 NOT NULL DEFAULT pg_current_xact_id(),
    image_id TEXT COLLATE "C" NOT NULL,
    at       TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX changes_by_xid ON changes (xid);
CREATE INDEX changes_by_age ON changes (at);
