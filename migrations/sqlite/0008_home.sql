-- Where this store lives, as it said when it was made or adopted: a copy is noticed by it.
ALTER TABLE deployment ADD COLUMN home TEXT;
-- Why this store may not page until a person adopts it, such as that it is a backup.
ALTER TABLE deployment ADD COLUMN unadopted TEXT;

-- Who took over the responsibility for a store that was restored, moved or copied.
CREATE TABLE adoptions (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    by_whom TEXT NOT NULL,
    why     TEXT NOT NULL
) STRICT;
