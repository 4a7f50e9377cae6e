-- Sums of the outcomes that ended within a slice of a week, so that a report needn't read each of them. They are only
-- kept as long as they are true: whatever is written of an outcome takes the sums of its slice away. A row without sums
-- says that somebody is about to make them.
CREATE TABLE sums (
    began     BIGINT NOT NULL,
    zone      TEXT COLLATE "C" NOT NULL,
    ended     BIGINT NOT NULL,
    marked_at BIGINT NOT NULL,
    sums      TEXT COLLATE "C",
    PRIMARY KEY (began, zone)
);

-- No slice is longer than an hour.
CREATE FUNCTION forget_sums_of_new_outcomes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM sums WHERE began > NEW.ended_at - 3600000000 AND began <= NEW.ended_at;
    RETURN NULL;
END $$;

CREATE FUNCTION forget_sums_of_old_outcomes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM sums WHERE began > OLD.ended_at - 3600000000 AND began <= OLD.ended_at;
    RETURN NULL;
END $$;

CREATE TRIGGER sums_of_a_new_outcome AFTER INSERT OR UPDATE ON outcomes
    FOR EACH ROW EXECUTE FUNCTION forget_sums_of_new_outcomes();
CREATE TRIGGER sums_of_an_old_outcome AFTER UPDATE OR DELETE ON outcomes
    FOR EACH ROW EXECUTE FUNCTION forget_sums_of_old_outcomes();
