-- Finds the few erased records among millions when a log is opened.
CREATE INDEX log_record_erased ON log_record (log, id) WHERE text IS NULL;

PRAGMA user_version = 4;
