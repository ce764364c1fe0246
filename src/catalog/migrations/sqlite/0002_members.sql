-- Projects that a shared image is shared with. Rows stay while the image is not shared, and count again when it is; they
-- go with the image.
CREATE TABLE image_members (
    image_id   TEXT   NOT NULL REFERENCES images (id),
    member_id  TEXT   NOT NULL,
    status     TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (image_id, member_id)
);
CREATE INDEX image_members_by_member ON image_members (member_id, status, image_id);
