-- How many reports of each category were received in each hour since 1970, for five weeks: a category that
-- falls silent is noticed by the same hours of the weeks before.
CREATE TABLE arrivals (
    source   TEXT COLLATE "C" NOT NULL,
    category TEXT COLLATE "C" NOT NULL,
    hour     BIGINT NOT NULL,
    count    BIGINT NOT NULL,
    PRIMARY KEY (source, category, hour)
);

CREATE INDEX arrivals_by_hour ON arrivals (hour);

-- For how many seconds of each hour a source was seen: only what was watched can be compared.
CREATE TABLE watched (
    source TEXT COLLATE "C" NOT NULL,
    hour   BIGINT NOT NULL,
    secs   BIGINT NOT NULL,
    PRIMARY KEY (source, hour)
);

-- Which reports were known to be open, some thousands in one row: a row that vanished while the monitor was
-- down is noticed at the next start. `no` is the commit that wrote it.
CREATE TABLE segments (
    source   TEXT COLLATE "C" NOT NULL,
    no       BIGINT NOT NULL,
    taken_at BIGINT NOT NULL,
    reports  TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (source, no)
);
