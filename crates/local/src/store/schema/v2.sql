-- What lists and views show of a task, folded from its events up to `seq`. `shape` counts
-- changes of what the JSON holds: rows of another shape are written anew.
CREATE TABLE summary (
    task TEXT PRIMARY KEY REFERENCES task (name) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    shape INTEGER NOT NULL,
    state TEXT NOT NULL,
    submitted INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    ended INTEGER,
    view TEXT NOT NULL
) STRICT;
CREATE INDEX newest_summary ON summary (submitted DESC, task);
CREATE INDEX summary_by_state ON summary (state, submitted DESC, task);
CREATE INDEX changed_summary ON summary (changed);
-- The files of a run's streams that are full, in the order of writing. `first` is the number of
-- a file's first line in its stream, counted from 0.
CREATE TABLE segment (
    run TEXT NOT NULL,
    stream TEXT NOT NULL,
    number INTEGER NOT NULL,
    first INTEGER NOT NULL,
    lines INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (run, stream, number)
) STRICT, WITHOUT ROWID;
-- Single facts: who wrote this file, when somebody looked last.
CREATE TABLE fact (
    key TEXT PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;
DROP INDEX newest_task;
-- What people applied: profiles, pipelines, repositories, and tasks as they were written.
CREATE TABLE object (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    generation INTEGER NOT NULL,
    created INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    metadata TEXT NOT NULL,
    spec TEXT NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;
