-- What was known when a breach was found, as JSON: the walk of its clock and the reports as last read.
ALTER TABLE breaches ADD COLUMN known TEXT NOT NULL DEFAULT '{}';

-- Who did what, and what became of it: written by the commit that takes the deed up, and only added to.
CREATE TABLE audit (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    sequence    INTEGER NOT NULL,
    taken_at    INTEGER NOT NULL,
    -- By the clock of the process that they spoke to.
    done_at     INTEGER NOT NULL,
    by_whom     TEXT NOT NULL,
    -- 1: a program did it in their name.
    integration INTEGER NOT NULL CHECK (integration IN (0, 1)),
    kind        TEXT NOT NULL,
    subject     TEXT NOT NULL,
    -- What was said of a report, and when that happened.
    said        TEXT,
    said_at     INTEGER,
    effect      TEXT NOT NULL
) STRICT;

CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;
CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;
