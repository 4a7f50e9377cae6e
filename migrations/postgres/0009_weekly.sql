-- How an outcome is known: "observed" while it happened, or from the final "row", which can't tell pauses,
-- reopenings and erased answers.
ALTER TABLE outcomes ADD COLUMN basis TEXT COLLATE "C" NOT NULL DEFAULT 'observed' CHECK (basis IN ('observed', 'row'));
-- A second review that counts followed a closure as "no violation"; somebody overturned a decision.
ALTER TABLE outcomes ADD COLUMN second_review BIGINT NOT NULL DEFAULT 0 CHECK (second_review IN (0, 1));
ALTER TABLE outcomes ADD COLUMN overturned BIGINT NOT NULL DEFAULT 0 CHECK (overturned IN (0, 1));
-- The latest deadline of its targets: a promise that was kept early still belongs to the week in which it fell due.
ALTER TABLE outcomes ADD COLUMN last_due BIGINT;

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
    source TEXT COLLATE "C" NOT NULL,
    began  BIGINT NOT NULL,
    ended  BIGINT NOT NULL,
    PRIMARY KEY (source, began)
);

-- The figures of each week as they were first told. They never change: the same week gives the same report.
CREATE TABLE weekly_reports (
    week    TEXT COLLATE "C" PRIMARY KEY,
    made_at BIGINT NOT NULL,
    figures TEXT COLLATE "C" NOT NULL
);

-- Who was sent which week's report: one row a week and channel, so that none goes out twice.
CREATE TABLE weekly_deliveries (
    week         TEXT COLLATE "C" NOT NULL,
    channel      TEXT COLLATE "C" NOT NULL,
    state        TEXT COLLATE "C" NOT NULL CHECK (state IN ('queued', 'leased', 'delivered', 'parked')),
    attempts     BIGINT NOT NULL,
    due_at       BIGINT NOT NULL,
    leased_until BIGINT,
    delivered_at BIGINT,
    last_answer  TEXT COLLATE "C",
    PRIMARY KEY (week, channel)
);

-- Sources whose closed reports have been read once, so that the weeks before the first start have figures.
CREATE TABLE backfills (
    source   TEXT COLLATE "C" PRIMARY KEY,
    done_at  BIGINT NOT NULL,
    outcomes BIGINT NOT NULL
);
