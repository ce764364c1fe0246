-- The one process that answers from memory without asking what others have changed, while it is alone. Whoever else commits a
-- change has it revoked first.
CREATE TABLE memory_lease (
    id         INTEGER NOT NULL PRIMARY KEY,
    holder     TEXT COLLATE "C",
    is_revoked BOOLEAN NOT NULL
);
INSERT INTO memory_lease (id, holder, is_revoked) VALUES (1, NULL, FALSE);
