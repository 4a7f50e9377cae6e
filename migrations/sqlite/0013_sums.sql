-- Sums of the outcomes that ended within a slice of a week, so that a report needn't read each of them. They are only
-- kept as long as they are true: whatever is written of an outcome takes the sums of its slice away. A row without sums
-- says that somebody is about to make them.
CREATE TABLE sums (
    began     INTEGER NOT NULL,
    zone      TEXT NOT NULL,
    ended     INTEGER NOT NULL,
    marked_at INTEGER NOT NULL,
    sums      TEXT,
    PRIMARY KEY (began, zone)
) STRICT;

-- No slice is longer than an hour.
CREATE TRIGGER sums_of_a_new_outcome AFTER INSERT ON outcomes BEGIN
    DELETE FROM sums WHERE began > NEW.ended_at - 3600000000 AND began <= NEW.ended_at;
END;

CREATE TRIGGER sums_of_a_changed_outcome AFTER UPDATE ON outcomes BEGIN
    DELETE FROM sums WHERE began > OLD.ended_at - 3600000000 AND began <= OLD.ended_at;
    DELETE FROM sums WHERE began > NEW.ended_at - 3600000000 AND began <= NEW.ended_at;
END;

CREATE TRIGGER sums_of_a_deleted_outcome AFTER DELETE ON outcomes BEGIN
    DELETE FROM sums WHERE began > OLD.ended_at - 3600000000 AND began <= OLD.ended_at;
END;
