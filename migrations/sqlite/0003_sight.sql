-- How many reports of each category were received in each hour since 1970, for five weeks: a category that
-- falls silent is noticed by the same hours of the weeks before.
CREATE TABLE arrivals (
    source   TEXT NOT NULL,
    category TEXT NOT NULL,
    hour     INTEGER NOT NULL,
    count    INTEGER NOT NULL,
    PRIMARY KEY (source, category, hour)
) STRICT;

CREATE INDEX arrivals_by_hour ON arrivals (hour);

-- For how many seconds of each hour a source was seen: only what was watched can be compared.
CREATE TABLE watched (
    source TEXT NOT NULL,
    hour   INTEGER NOT NULL,
    secs   INTEGER NOT NULL,
    PRIMARY KEY (source, hour)
) STRICT;

-- Which reports were known to be open, some thousands in one row: a row that vanished while the monitor was
-- down is noticed at the next start. `no` is the commit that wrote it.
CREATE TABLE segments (
    source   TEXT NOT NULL,
    no       INTEGER NOT NULL,
    taken_at INTEGER NOT NULL,
    reports  TEXT NOT NULL,
    PRIMARY KEY (source, no)
) STRICT;
