-- One row that is written to find out whether writes succeed again.
CREATE TABLE signs (
    id    INTEGER NOT NULL PRIMARY KEY,
    bytes BLOB    NOT NULL
);
