-- Sums in parts, so that a report reads of each slice only what it needs; `sums` is what older versions read and write.
-- What any report needs of the slice; a row without says that somebody is about to make it.
ALTER TABLE sums ADD COLUMN counts TEXT;
-- What the report of the slice's own week needs besides.
ALTER TABLE sums ADD COLUMN lengths TEXT;
-- What the report of the week before needs: what was still open at its end.
ALTER TABLE sums ADD COLUMN behind TEXT;

-- The same of breaches; nothing of them is behind.
CREATE TABLE breach_sums (
    began     INTEGER NOT NULL,
    zone      TEXT NOT NULL,
    ended     INTEGER NOT NULL,
    marked_at INTEGER NOT NULL,
    counts    TEXT,
    lengths   TEXT,
    behind    TEXT,
    PRIMARY KEY (began, zone)
) STRICT;

-- No slice is longer than an hour. A breach belongs to as many as three slices.
CREATE TRIGGER sums_of_a_new_breach AFTER INSERT ON breaches BEGIN
    DELETE FROM breach_sums WHERE began > NEW.deadline - 3600000000 AND began <= NEW.deadline;
    DELETE FROM breach_sums WHERE began > NEW.detected_at - 3600000000 AND began <= NEW.detected_at;
    DELETE FROM breach_sums
        WHERE began > NEW.contradicted_at - 3600000000 AND began <= NEW.contradicted_at;
END;

CREATE TRIGGER sums_of_a_changed_breach AFTER UPDATE ON breaches BEGIN
    DELETE FROM breach_sums WHERE began > OLD.deadline - 3600000000 AND began <= OLD.deadline;
    DELETE FROM breach_sums WHERE began > OLD.detected_at - 3600000000 AND began <= OLD.detected_at;
    DELETE FROM breach_sums
        WHERE began > OLD.contradicted_at - 3600000000 AND began <= OLD.contradicted_at;
    DELETE FROM breach_sums WHERE began > NEW.deadline - 3600000000 AND began <= NEW.deadline;
    DELETE FROM breach_sums WHERE began > NEW.detected_at - 3600000000 AND began <= NEW.detected_at;
    DELETE FROM breach_sums
        WHERE began > NEW.contradicted_at - 3600000000 AND began <= NEW.contradicted_at;
END;

CREATE TRIGGER sums_of_a_deleted_breach AFTER DELETE ON breaches BEGIN
    DELETE FROM breach_sums WHERE began > OLD.deadline - 3600000000 AND began <= OLD.deadline;
    DELETE FROM breach_sums WHERE began > OLD.detected_at - 3600000000 AND began <= OLD.detected_at;
    DELETE FROM breach_sums
        WHERE began > OLD.contradicted_at - 3600000000 AND began <= OLD.contradicted_at;
END;

-- What ended before a stretch of time and fell due in it or later is found without reading all that fell due; what
-- ended a week before the stretch, among the few whose deadline lay that far ahead (167 hours: a week is an hour shorter
-- where clocks change).
DROP INDEX outcomes_by_last_due;
CREATE INDEX outcomes_by_last_due ON outcomes (last_due, ended_at);
CREATE INDEX outcomes_due_much_later ON outcomes (last_due, ended_at) WHERE last_due - ended_at > 601200000000;
