-- What was known when a breach was found, as JSON: the walk of its clock and the reports as last read.
ALTER TABLE breaches ADD COLUMN known TEXT COLLATE "C" NOT NULL DEFAULT '{}';

-- Who did what, and what became of it: written by the commit that takes the deed up, and only added to.
CREATE TABLE audit (
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sequence    BIGINT NOT NULL,
    taken_at    BIGINT NOT NULL,
    -- By the clock of the process that they spoke to.
    done_at     BIGINT NOT NULL,
    by_whom     TEXT COLLATE "C" NOT NULL,
    -- 1: a program did it in their name.
    integration BIGINT NOT NULL CHECK (integration IN (0, 1)),
    kind        TEXT COLLATE "C" NOT NULL,
    subject     TEXT COLLATE "C" NOT NULL,
    -- What was said of a report, and when that happened.
    said        TEXT COLLATE "C",
    said_at     BIGINT,
    effect      TEXT COLLATE "C" NOT NULL
);

CREATE FUNCTION audit_is_only_added_to() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the audit log is only added to'; END $$;
CREATE TRIGGER audit_is_only_added_to BEFORE UPDATE OR DELETE ON audit
FOR EACH ROW EXECUTE FUNCTION audit_is_only_added_to();
