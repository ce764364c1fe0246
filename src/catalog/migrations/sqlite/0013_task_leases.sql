-- Tasks as work: who is at it, and until when. One whose lease has run out is anybody's; without a lease a row is a record alone.
ALTER TABLE tasks ADD COLUMN node TEXT;
ALTER TABLE tasks ADD COLUMN lease_until BIGINT;
-- How often it was taken up.
ALTER TABLE tasks ADD COLUMN claims BIGINT NOT NULL DEFAULT 0;
-- How far it is.
ALTER TABLE tasks ADD COLUMN done_bytes BIGINT NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN total_bytes BIGINT NOT NULL DEFAULT 0;
CREATE INDEX tasks_to_do ON tasks (created_at, id) WHERE status IN ('pending', 'processing');
CREATE INDEX tasks_by_expiry ON tasks (expires_at) WHERE expires_at IS NOT NULL;
