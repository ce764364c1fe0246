-- Long work that was asked for. Times are microseconds since the Unix epoch; input and result are JSON.
CREATE TABLE tasks (
    id         TEXT   NOT NULL PRIMARY KEY,
    type       TEXT   NOT NULL,
    status     TEXT   NOT NULL,
    owner      TEXT,
    input      TEXT,
    result     TEXT,
    message    TEXT   NOT NULL,
    image_id   TEXT,
    request_id TEXT,
    user_id    TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    expires_at BIGINT
);
CREATE INDEX tasks_by_age ON tasks (created_at DESC, id DESC);
CREATE INDEX tasks_by_image ON tasks (image_id, created_at DESC, id DESC);
