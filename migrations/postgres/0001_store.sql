-- Instants are microseconds since 1970-01-01T00:00:00Z. Keys are in the printed form of the monitor.
-- A column that holds JSON is read by the monitor only; nothing filters on its inside.
-- Text compares by bytes, as in SQLite, whatever the locale of the database.

-- Who this store belongs to, who leads, and how far it has come. One row.
CREATE TABLE deployment (
    id                 BIGINT PRIMARY KEY CHECK (id = 1),
    -- The oldest schema that a program must know to use this store.
    schema_version     BIGINT NOT NULL,
    -- Of the deployment secret: a clone or another deployment's store is refused by it.
    fingerprint        TEXT COLLATE "C" NOT NULL,
    -- Of the last committed plan. Every commit takes the next one, so none can happen twice.
    sequence           BIGINT NOT NULL,
    -- Numbers are given in order and never again, because pages are keyed by them.
    next_incident      BIGINT NOT NULL,
    -- The fencing token: a commit under an older one is refused.
    leader_token       BIGINT NOT NULL,
    leader_holder      TEXT COLLATE "C",
    leader_since       BIGINT,
    leader_lease_until BIGINT
);

-- The report databases this store has been fed from: a store that is suddenly fed from others is noticed.
CREATE TABLE sources (
    source      TEXT COLLATE "C" PRIMARY KEY,
    -- Of the mapping of its columns.
    fingerprint TEXT COLLATE "C" NOT NULL,
    first_seen  BIGINT NOT NULL
);

-- What no report database can repeat: P0 episodes, breached, paused and reopened ones.
CREATE TABLE cases (
    episode    TEXT COLLATE "C" PRIMARY KEY,
    case_key   TEXT COLLATE "C" NOT NULL,
    episode_no BIGINT NOT NULL,
    source     TEXT COLLATE "C" NOT NULL,
    priority   TEXT COLLATE "C" NOT NULL,
    -- 1: its outcome is written; kept to be recalled when its row comes back.
    settled    BIGINT NOT NULL CHECK (settled IN (0, 1)),
    state      TEXT COLLATE "C" NOT NULL,
    -- The commit that wrote this state.
    sequence   BIGINT NOT NULL,
    UNIQUE (case_key, episode_no)
);

-- A start loads these, P0 first.
CREATE INDEX cases_unsettled ON cases (priority, episode) WHERE settled = 0;

-- Each promise that was broken, once. A verified breach never changes; how it ended and what
-- contradicts it are added.
CREATE TABLE breaches (
    episode         TEXT COLLATE "C" NOT NULL,
    target          TEXT COLLATE "C" NOT NULL,
    -- Empty, or the report of a target that is kept per report.
    report          TEXT COLLATE "C" NOT NULL,
    deadline        BIGINT NOT NULL,
    source          TEXT COLLATE "C" NOT NULL,
    first_report    TEXT COLLATE "C" NOT NULL,
    category        TEXT COLLATE "C" NOT NULL,
    rule            TEXT COLLATE "C" NOT NULL,
    priority        TEXT COLLATE "C" NOT NULL,
    started         BIGINT,
    detected_at     BIGINT NOT NULL,
    inherited       BIGINT NOT NULL CHECK (inherited IN (0, 1)),
    status          TEXT COLLATE "C" NOT NULL CHECK (status IN ('unverified', 'verified', 'withdrawn')),
    ended           TEXT COLLATE "C" CHECK (ended IN ('met', 'moot')),
    ended_at        BIGINT,
    contradicted_at BIGINT,
    incident        BIGINT,
    policy_hash     TEXT COLLATE "C" NOT NULL,
    -- The episode, the report and the first report as JSON: print loses whether an id is a number.
    keys            TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (episode, target, report, deadline)
);

-- The weekly report asks by the week in which a deadline fell and in which a breach was detected.
CREATE INDEX breaches_by_deadline ON breaches (deadline);
CREATE INDEX breaches_by_detected_at ON breaches (detected_at);

-- What people are or were paged about.
CREATE TABLE incidents (
    no          BIGINT PRIMARY KEY,
    kind        TEXT COLLATE "C" NOT NULL CHECK (kind IN ('episode', 'group', 'bundle', 'blind')),
    escalation  TEXT COLLATE "C" NOT NULL,
    open        BIGINT NOT NULL CHECK (open IN (0, 1)),
    opened_at   BIGINT NOT NULL,
    resolved_at BIGINT,
    state       TEXT COLLATE "C" NOT NULL
);

CREATE INDEX incidents_open ON incidents (no) WHERE open = 1;

-- The outbox: written with the state that caused it, sent afterwards. Keys and payload are frozen, so
-- that every attempt is the same to its receiver.
CREATE TABLE pages (
    id           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    incident     BIGINT NOT NULL,
    round        BIGINT NOT NULL,
    step         BIGINT NOT NULL,
    channel      TEXT COLLATE "C" NOT NULL,
    kind         TEXT COLLATE "C" NOT NULL CHECK (kind IN ('ring', 'resolve')),
    priority     TEXT COLLATE "C" NOT NULL,
    created_at   BIGINT NOT NULL,
    alert_key    TEXT COLLATE "C" NOT NULL,
    delivery_key TEXT COLLATE "C" NOT NULL,
    payload      TEXT COLLATE "C" NOT NULL,
    state        TEXT COLLATE "C" NOT NULL CHECK (state IN ('queued', 'leased', 'accepted', 'parked', 'superseded')),
    attempts     BIGINT NOT NULL,
    due_at       BIGINT NOT NULL,
    leased_until BIGINT,
    accepted_at  BIGINT,
    -- A status or the kind of an error; never what a receiver wrote.
    last_answer  TEXT COLLATE "C",
    UNIQUE (incident, round, step, channel, kind)
);

-- The lanes are read in this order.
CREATE INDEX pages_to_send ON pages (priority, created_at, id) WHERE state IN ('queued', 'leased');
CREATE INDEX pages_by_state ON pages (channel, state);

-- Every try to deliver a page: what an audit asks after a missed one.
CREATE TABLE attempts (
    page   BIGINT NOT NULL REFERENCES pages (id),
    number BIGINT NOT NULL,
    began  BIGINT NOT NULL,
    ended  BIGINT NOT NULL,
    result TEXT COLLATE "C" NOT NULL CHECK (result IN ('accepted', 'retry', 'parked')),
    answer TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (page, number)
);

-- What remains of an ended episode, for the weekly report.
CREATE TABLE outcomes (
    episode        TEXT COLLATE "C" PRIMARY KEY,
    source         TEXT COLLATE "C" NOT NULL,
    category       TEXT COLLATE "C" NOT NULL,
    rule           TEXT COLLATE "C" NOT NULL,
    priority       TEXT COLLATE "C" NOT NULL,
    standing       TEXT COLLATE "C" NOT NULL,
    received       BIGINT NOT NULL,
    first_response BIGINT,
    ended_at       BIGINT NOT NULL,
    conclusion     TEXT COLLATE "C" NOT NULL,
    reports        BIGINT NOT NULL,
    reopenings     BIGINT NOT NULL,
    targets        TEXT COLLATE "C" NOT NULL
);

CREATE INDEX outcomes_by_end ON outcomes (ended_at);

-- What people did, on its way into the core. Each entry is applied by exactly one commit.
CREATE TABLE inbox (
    id               BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind             TEXT COLLATE "C" NOT NULL,
    body             TEXT COLLATE "C" NOT NULL,
    by_whom          TEXT COLLATE "C" NOT NULL,
    at               BIGINT NOT NULL,
    applied_sequence BIGINT
);

CREATE INDEX inbox_waiting ON inbox (id) WHERE applied_sequence IS NULL;

-- Whole observations of the cases that must be explained later: final rows can't tell pauses,
-- reopenings and erased answers.
CREATE TABLE observations (
    source      TEXT COLLATE "C" NOT NULL,
    report      TEXT COLLATE "C" NOT NULL,
    incarnation BIGINT NOT NULL,
    seen_at     BIGINT NOT NULL,
    -- NULL: there was no such row.
    observed    TEXT COLLATE "C",
    PRIMARY KEY (source, report, incarnation, seen_at)
);

-- What could not be read in the rows, by place and kind, never by value.
CREATE TABLE rejects (
    source      TEXT COLLATE "C" NOT NULL,
    -- Empty where the row has no id.
    report      TEXT COLLATE "C" NOT NULL,
    column_name TEXT COLLATE "C" NOT NULL,
    flaw        TEXT COLLATE "C" NOT NULL,
    first_seen  BIGINT NOT NULL,
    last_seen   BIGINT NOT NULL,
    count       BIGINT NOT NULL,
    PRIMARY KEY (source, report, column_name, flaw)
);
