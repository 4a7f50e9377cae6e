-- Where this store lives, as it said when it was made or adopted: a copy is noticed by it.
ALTER TABLE deployment ADD COLUMN home TEXT COLLATE "C";
-- Why this store may not page until a person adopts it, such as that it is a backup.
ALTER TABLE deployment ADD COLUMN unadopted TEXT COLLATE "C";

-- Who took over the responsibility for a store that was restored, moved or copied.
CREATE TABLE adoptions (
    id      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      BIGINT NOT NULL,
    by_whom TEXT COLLATE "C" NOT NULL,
    why     TEXT COLLATE "C" NOT NULL
);
