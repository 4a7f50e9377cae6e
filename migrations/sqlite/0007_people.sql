-- Snoozes and maintenance windows that are in force or to come. What is over is in the record of acts.
CREATE TABLE quiets (
    no    INTEGER PRIMARY KEY,
    until INTEGER NOT NULL,
    state TEXT NOT NULL
) STRICT;

-- Webhooks of pager products that were taken in: each is delivered at least once and counts once.
CREATE TABLE webhooks (
    id TEXT PRIMARY KEY,
    at INTEGER NOT NULL
) STRICT;

CREATE INDEX webhooks_by_age ON webhooks (at);

-- A pager product names an alert by its key.
CREATE INDEX pages_by_alert_key ON pages (alert_key);
