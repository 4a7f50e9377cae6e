-- Instants are microseconds since 1970-01-01T00:00:00Z. Keys are in the printed form of the monitor.
-- A column that holds JSON is read by the monitor only; nothing filters on its inside.

-- Who this store belongs to, who leads, and how far it has come. One row.
CREATE TABLE deployment (
    id                 INTEGER PRIMARY KEY CHECK (id = 1),
    -- The oldest schema that a program must know to use this store.
    schema_version     INTEGER NOT NULL,
    -- Of the deployment secret: a clone or another deployment's store is refused by it.
    fingerprint        TEXT NOT NULL,
    -- Of the last committed plan. Every commit takes the next one, so none can happen twice.
    sequence           INTEGER NOT NULL,
    -- Numbers are given in order and never again, because pages are keyed by them.
    next_incident      INTEGER NOT NULL,
    -- The fencing token: a commit under an older one is refused.
    leader_token       INTEGER NOT NULL,
    leader_holder      TEXT,
    leader_since       INTEGER,
    leader_lease_until INTEGER
) STRICT;

-- The report databases this store has been fed from: a store that is suddenly fed from others is noticed.
CREATE TABLE sources (
    source      TEXT PRIMARY KEY,
    -- Of the mapping of its columns.
    fingerprint TEXT NOT NULL,
    first_seen  INTEGER NOT NULL
) STRICT;

-- What no report database can repeat: P0 episodes, breached, paused and reopened ones.
CREATE TABLE cases (
    episode    TEXT PRIMARY KEY,
    case_key   TEXT NOT NULL,
    episode_no INTEGER NOT NULL,
    source     TEXT NOT NULL,
    priority   TEXT NOT NULL,
    -- 1: its outcome is written; kept to be recalled when its row comes back.
    settled    INTEGER NOT NULL CHECK (settled IN (0, 1)),
    state      TEXT NOT NULL,
    -- The commit that wrote this state.
    sequence   INTEGER NOT NULL,
    UNIQUE (case_key, episode_no)
) STRICT;

-- A start loads these, P0 first.
CREATE INDEX cases_unsettled ON cases (priority, episode) WHERE settled = 0;

-- Each promise that was broken, once. A verified breach never changes; how it ended and what
-- contradicts it are added.
CREATE TABLE breaches (
    episode         TEXT NOT NULL,
    target          TEXT NOT NULL,
    -- Empty, or the report of a target that is kept per report.
    report          TEXT NOT NULL,
    deadline        INTEGER NOT NULL,
    source          TEXT NOT NULL,
    first_report    TEXT NOT NULL,
    category        TEXT NOT NULL,
    rule            TEXT NOT NULL,
    priority        TEXT NOT NULL,
    started         INTEGER,
    detected_at     INTEGER NOT NULL,
    inherited       INTEGER NOT NULL CHECK (inherited IN (0, 1)),
    status          TEXT NOT NULL CHECK (status IN ('unverified', 'verified', 'withdrawn')),
    ended           TEXT CHECK (ended IN ('met', 'moot')),
    ended_at        INTEGER,
    contradicted_at INTEGER,
    incident        INTEGER,
    policy_hash     TEXT NOT NULL,
    -- The episode, the report and the first report as JSON: print loses whether an id is a number.
    keys            TEXT NOT NULL,
    PRIMARY KEY (episode, target, report, deadline)
) STRICT;

-- The weekly report asks by the week in which a deadline fell and in which a breach was detected.
CREATE INDEX breaches_by_deadline ON breaches (deadline);
CREATE INDEX breaches_by_detected_at ON breaches (detected_at);

-- What people are or were paged about.
CREATE TABLE incidents (
    no          INTEGER PRIMARY KEY,
    kind        TEXT NOT NULL CHECK (kind IN ('episode', 'group', 'bundle', 'blind')),
    escalation  TEXT NOT NULL,
    open        INTEGER NOT NULL CHECK (open IN (0, 1)),
    opened_at   INTEGER NOT NULL,
    resolved_at INTEGER,
    state       TEXT NOT NULL
) STRICT;

CREATE INDEX incidents_open ON incidents (no) WHERE open = 1;

-- The outbox: written with the state that caused it, sent afterwards. Keys and payload are frozen, so
-- that every attempt is the same to its receiver.
CREATE TABLE pages (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    incident     INTEGER NOT NULL,
    round        INTEGER NOT NULL,
    step         INTEGER NOT NULL,
    channel      TEXT NOT NULL,
    kind         TEXT NOT NULL CHECK (kind IN ('ring', 'resolve')),
    priority     TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    alert_key    TEXT NOT NULL,
    delivery_key TEXT NOT NULL,
    payload      TEXT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('queued', 'leased', 'accepted', 'parked', 'superseded')),
    attempts     INTEGER NOT NULL,
    due_at       INTEGER NOT NULL,
    leased_until INTEGER,
    accepted_at  INTEGER,
    -- A status or the kind of an error; never what a receiver wrote.
    last_answer  TEXT,
    UNIQUE (incident, round, step, channel, kind)
) STRICT;

-- The lanes are read in this order.
CREATE INDEX pages_to_send ON pages (priority, created_at, id) WHERE state IN ('queued', 'leased');
CREATE INDEX pages_by_state ON pages (channel, state);

-- Every try to deliver a page: what an audit asks after a missed one.
CREATE TABLE attempts (
    page   INTEGER NOT NULL REFERENCES pages (id),
    number INTEGER NOT NULL,
    began  INTEGER NOT NULL,
    ended  INTEGER NOT NULL,
    result TEXT NOT NULL CHECK (result IN ('accepted', 'retry', 'parked')),
    answer TEXT NOT NULL,
    PRIMARY KEY (page, number)
) STRICT;

-- What remains of an ended episode, for the weekly report.
CREATE TABLE outcomes (
    episode        TEXT PRIMARY KEY,
    source         TEXT NOT NULL,
    category       TEXT NOT NULL,
    rule           TEXT NOT NULL,
    priority       TEXT NOT NULL,
    standing       TEXT NOT NULL,
    received       INTEGER NOT NULL,
    first_response INTEGER,
    ended_at       INTEGER NOT NULL,
    conclusion     TEXT NOT NULL,
    reports        INTEGER NOT NULL,
    reopenings     INTEGER NOT NULL,
    targets        TEXT NOT NULL
) STRICT;

CREATE INDEX outcomes_by_end ON outcomes (ended_at);

-- What people did, on its way into the core. Each entry is applied by exactly one commit.
CREATE TABLE inbox (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    kind             TEXT NOT NULL,
    body             TEXT NOT NULL,
    by_whom          TEXT NOT NULL,
    at               INTEGER NOT NULL,
    applied_sequence INTEGER
) STRICT;

CREATE INDEX inbox_waiting ON inbox (id) WHERE applied_sequence IS NULL;

-- Whole observations of the cases that must be explained later: final rows can't tell pauses,
-- reopenings and erased answers.
CREATE TABLE observations (
    source      TEXT NOT NULL,
    report      TEXT NOT NULL,
    incarnation INTEGER NOT NULL,
    seen_at     INTEGER NOT NULL,
    -- NULL: there was no such row.
    observed    TEXT,
    PRIMARY KEY (source, report, incarnation, seen_at)
) STRICT;

-- What could not be read in the rows, by place and kind, never by value.
CREATE TABLE rejects (
    source      TEXT NOT NULL,
    -- Empty where the row has no id.
    report      TEXT NOT NULL,
    column_name TEXT NOT NULL,
    flaw        TEXT NOT NULL,
    first_seen  INTEGER NOT NULL,
    last_seen   INTEGER NOT NULL,
    count       INTEGER NOT NULL,
    PRIMARY KEY (source, report, column_name, flaw)
) STRICT;
