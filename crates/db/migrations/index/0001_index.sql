-- What is stored, one row a version, and what was last heard of lists and look-ups.
-- All of it can be rebuilt: versions from the store, answers from upstream.

CREATE TABLE version (
    path      TEXT    NOT NULL,
    version   TEXT    NOT NULL,
    size      INTEGER NOT NULL,
    stored    INTEGER NOT NULL, -- nanoseconds since 1970, as all times here
    last_used INTEGER,
    has_info  INTEGER NOT NULL,
    has_mod   INTEGER NOT NULL,
    has_zip   INTEGER NOT NULL,
    PRIMARY KEY (path, version)
) STRICT, WITHOUT ROWID;

-- Bodies may be large, so this one keeps its row numbers: the unique index stays small.
CREATE TABLE kept (
    kind    TEXT    NOT NULL, -- list, latest, query
    path    TEXT    NOT NULL,
    query   TEXT    NOT NULL, -- empty unless kind is query
    status  INTEGER,          -- null: found
    body    BLOB    NOT NULL, -- as served; when not found: the text
    origin  TEXT    NOT NULL,
    fetched INTEGER NOT NULL,
    UNIQUE (kind, path, query)
) STRICT;

CREATE INDEX kept_by_age ON kept (fetched);
CREATE INDEX negative_by_age ON kept (fetched) WHERE status IS NOT NULL;

PRAGMA user_version = 1;
