-- Our own transparency logs. What stands here is promised to clients for ever.

CREATE TABLE log (
    log        INTEGER NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE,
    key        TEXT    NOT NULL, -- the verifier line, by which heads are recognized without the private key
    next       INTEGER NOT NULL, -- records below this number have their place for ever
    integrated INTEGER NOT NULL, -- the size of the newest signed head; never above next
    epoch      INTEGER NOT NULL, -- who may write: the sequencer that raised it last
    frozen     TEXT,             -- set: nothing is signed any more, and why
    created    INTEGER NOT NULL  -- nanoseconds since 1970
) STRICT;

CREATE TABLE log_record (
    log     INTEGER NOT NULL,
    id      INTEGER NOT NULL,
    module  TEXT    NOT NULL,
    version TEXT    NOT NULL,
    text    TEXT,             -- NULL: erased; the leaf stays, so that the tree does
    leaf    BLOB    NOT NULL, -- 32 bytes
    kind    TEXT    NOT NULL, -- private, public, toolchain, anchor
    created INTEGER NOT NULL,
    PRIMARY KEY (log, id)
) STRICT, WITHOUT ROWID;

-- One record for a version, for ever.
CREATE UNIQUE INDEX log_record_version ON log_record (module, version, log);

CREATE TABLE log_head (
    log        INTEGER NOT NULL,
    size       INTEGER NOT NULL,
    root       BLOB    NOT NULL, -- 32 bytes
    note       TEXT    NOT NULL, -- as the go command reads it
    checkpoint TEXT    NOT NULL, -- as witnesses read it
    signed     INTEGER NOT NULL,
    PRIMARY KEY (log, size)
) STRICT, WITHOUT ROWID;

-- A path once logged as private is never logged from public, nor the reverse.
CREATE TABLE log_bind (
    log    INTEGER NOT NULL,
    module TEXT    NOT NULL,
    bound  TEXT    NOT NULL, -- private, public
    seen   INTEGER NOT NULL,
    PRIMARY KEY (log, module)
) STRICT, WITHOUT ROWID;

PRAGMA user_version = 2;
