-- Who may look at the board and use the API. Of a token only its hash is kept: whoever reads the store can't use it.
CREATE TABLE tokens (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT NOT NULL,
    role       TEXT NOT NULL CHECK (role IN ('viewer', 'responder', 'admin')),
    hash       TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER,
    revoked_by TEXT
) STRICT;

-- From where something was done that no deed in the inbox tells of.
ALTER TABLE audit ADD COLUMN origin TEXT;
