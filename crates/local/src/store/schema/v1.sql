CREATE TABLE task (
    name TEXT PRIMARY KEY,
    task_order TEXT NOT NULL,
    submitted INTEGER NOT NULL,
    ended INTEGER
) STRICT;
CREATE INDEX open_task ON task (submitted) WHERE ended IS NULL;
CREATE INDEX newest_task ON task (submitted DESC);
CREATE TABLE event (
    task TEXT NOT NULL REFERENCES task (name),
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    event TEXT NOT NULL,
    PRIMARY KEY (task, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE base_check (
    key TEXT PRIMARY KEY,
    event TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
