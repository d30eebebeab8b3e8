-- What cannot be rebuilt: losing it means to trust a checksum database anew.

-- The newest verified tree head of each checksum database that is proxied. It only grows.
CREATE TABLE sumdb_upstream (
    name     TEXT    NOT NULL PRIMARY KEY,
    size     INTEGER NOT NULL,
    root     BLOB    NOT NULL, -- 32 bytes
    note     TEXT    NOT NULL, -- the signed note, as it came
    checked  INTEGER NOT NULL, -- nanoseconds since 1970
    evidence TEXT              -- set: it contradicted itself, nothing of it is believed any more
) STRICT, WITHOUT ROWID;

PRAGMA user_version = 1;
