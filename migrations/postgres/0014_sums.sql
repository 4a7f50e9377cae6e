-- Sums in parts, so that a report reads of each slice only what it needs; `sums` is what older versions read and write.
-- What any report needs of the slice; a row without says that somebody is about to make it.
ALTER TABLE sums ADD COLUMN counts TEXT COLLATE "C";
-- What the report of the slice's own week needs besides.
ALTER TABLE sums ADD COLUMN lengths TEXT COLLATE "C";
-- What the report of the week before needs: what was still open at its end.
ALTER TABLE sums ADD COLUMN behind TEXT COLLATE "C";

-- The same of breaches; nothing of them is behind.
CREATE TABLE breach_sums (
    began     BIGINT NOT NULL,
    zone      TEXT COLLATE "C" NOT NULL,
    ended     BIGINT NOT NULL,
    marked_at BIGINT NOT NULL,
    counts    TEXT COLLATE "C",
    lengths   TEXT COLLATE "C",
    behind    TEXT COLLATE "C",
    PRIMARY KEY (began, zone)
);

-- No slice is longer than an hour. A breach belongs to as many as three slices; of an instant that is NULL there is none.
CREATE FUNCTION forget_breach_sums(VARIADIC instants BIGINT[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    instant BIGINT;
BEGIN
    FOREACH instant IN ARRAY instants LOOP
        DELETE FROM breach_sums WHERE began > instant - 3600000000 AND began <= instant;
    END LOOP;
END $$;

CREATE FUNCTION forget_sums_of_breaches() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        PERFORM forget_breach_sums(OLD.deadline, OLD.detected_at, OLD.contradicted_at);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        PERFORM forget_breach_sums(NEW.deadline, NEW.detected_at, NEW.contradicted_at);
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER sums_of_a_breach AFTER INSERT OR UPDATE OR DELETE ON breaches
    FOR EACH ROW EXECUTE FUNCTION forget_sums_of_breaches();

-- What ended before a stretch of time and fell due in it or later is found without reading all that fell due; what
-- ended a week before the stretch, among the few whose deadline lay that far ahead (167 hours: a week is an hour shorter
-- where clocks change).
DROP INDEX outcomes_by_last_due;
CREATE INDEX outcomes_by_last_due ON outcomes (last_due, ended_at);
CREATE INDEX outcomes_due_much_later ON outcomes (last_due, ended_at) WHERE last_due - ended_at > 601200000000;
