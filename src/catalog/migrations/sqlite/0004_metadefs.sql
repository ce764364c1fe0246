-- Metadata definitions. The id of a namespace stays when its name changes.
CREATE TABLE metadef_namespaces (
    id           TEXT    NOT NULL PRIMARY KEY,
    name         TEXT    NOT NULL UNIQUE,
    display_name TEXT,
    description  TEXT,
    visibility   TEXT    NOT NULL,
    protected    INTEGER NOT NULL,
    owner        TEXT,
    created_at   BIGINT  NOT NULL,
    updated_at   BIGINT  NOT NULL
);

-- Properties, objects, tags and associations with resource types: a name, unique among its kind in the namespace, and the
-- rest as JSON.
CREATE TABLE metadef_parts (
    namespace_id TEXT   NOT NULL REFERENCES metadef_namespaces (id) ON DELETE CASCADE,
    kind         TEXT   NOT NULL,
    name         TEXT   NOT NULL,
    body         TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    PRIMARY KEY (namespace_id, kind, name)
);
CREATE INDEX metadef_parts_by_name ON metadef_parts (kind, name);

-- Every resource type that a namespace was ever associated with.
CREATE TABLE metadef_resource_types (
    name       TEXT   NOT NULL PRIMARY KEY,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
