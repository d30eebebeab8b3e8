-- The keys of a log: two sign while a key is changed.

CREATE TABLE log_key (
    log   INTEGER NOT NULL,
    place INTEGER NOT NULL, -- in the order in which they came; signatures stand in it too
    key   TEXT    NOT NULL, -- the verifier line, by which heads are recognized without the private key
    state TEXT    NOT NULL, -- signs; retired: signed before, and never again
    PRIMARY KEY (log, place),
    UNIQUE (log, key)
) STRICT, WITHOUT ROWID;

INSERT INTO log_key (log, place, key, state) SELECT log, 0, key, 'signs' FROM log;

ALTER TABLE log DROP COLUMN key;

PRAGMA user_version = 3;
