-- How an outcome is known: "observed" while it happened, or from the final "row", which can't tell pauses,
-- reopenings and erased answers.
ALTER TABLE outcomes ADD COLUMN basis TEXT NOT NULL DEFAULT 'observed' CHECK (basis IN ('observed', 'row'));
-- A second review that counts followed a closure as "no violation"; somebody overturned a decision.
ALTER TABLE outcomes ADD COLUMN second_review INTEGER NOT NULL DEFAULT 0 CHECK (second_review IN (0, 1));
ALTER TABLE outcomes ADD COLUMN overturned INTEGER NOT NULL DEFAULT 0 CHECK (overturned IN (0, 1));
-- The latest deadline of its targets: a promise that was kept early still belongs to the week in which it fell due.
ALTER TABLE outcomes ADD COLUMN last_due INTEGER;

CREATE INDEX outcomes_by_last_due ON outcomes (last_due) WHERE last_due IS NOT NULL;
CREATE INDEX breaches_by_contradiction ON breaches (contradicted_at) WHERE contradicted_at IS NOT NULL;
CREATE INDEX breaches_by_end ON breaches (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX breaches_by_incident ON breaches (incident) WHERE incident IS NOT NULL;
CREATE INDEX pages_by_creation ON pages (created_at);
CREATE INDEX pages_by_acceptance ON pages (accepted_at) WHERE accepted_at IS NOT NULL;
CREATE INDEX inbox_by_time ON inbox (at);

-- When each source was in sight, in stretches; the empty name is the monitor itself. What no stretch covers, nobody
-- watched.
CREATE TABLE watched (
    source TEXT NOT NULL,
    began  INTEGER NOT NULL,
    ended  INTEGER NOT NULL,
    PRIMARY KEY (source, began)
) STRICT;

-- The figures of each week as they were first told. They never change: the same week gives the same report.
CREATE TABLE weekly_reports (
    week    TEXT PRIMARY KEY,
    made_at INTEGER NOT NULL,
    figures TEXT NOT NULL
) STRICT;

-- Who was sent which week's report: one row a week and channel, so that none goes out twice.
CREATE TABLE weekly_deliveries (
    week         TEXT NOT NULL,
    channel      TEXT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('queued', 'leased', 'delivered', 'parked')),
    attempts     INTEGER NOT NULL,
    due_at       INTEGER NOT NULL,
    leased_until INTEGER,
    delivered_at INTEGER,
    last_answer  TEXT,
    PRIMARY KEY (week, channel)
) STRICT;

-- Sources whose closed reports have been read once, so that the weeks before the first start have figures.
CREATE TABLE backfills (
    source   TEXT PRIMARY KEY,
    done_at  INTEGER NOT NULL,
    outcomes INTEGER NOT NULL
) STRICT;
