-- Who may look at the board and use the API. Of a token only its hash is kept: whoever reads the store can't use it.
CREATE TABLE tokens (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       TEXT COLLATE "C" NOT NULL,
    role       TEXT COLLATE "C" NOT NULL CHECK (role IN ('viewer', 'responder', 'admin')),
    hash       TEXT COLLATE "C" NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT,
    revoked_by TEXT COLLATE "C"
);

-- From where something was done that no deed in the inbox tells of.
ALTER TABLE audit ADD COLUMN origin TEXT COLLATE "C";
