-- The task that an attempt works for: what it stores is of use to that import alone.
ALTER TABLE uploads ADD COLUMN task_id TEXT;
