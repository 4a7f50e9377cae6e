-- The channels that ring in this one's place when it fails, the next first, joined by commas; frozen with the page.
ALTER TABLE pages ADD COLUMN fallbacks TEXT NOT NULL DEFAULT '';
-- The channel in whose place this page rings.
ALTER TABLE pages ADD COLUMN in_place_of TEXT;
-- 1: refused or unanswered for so long that the next channel rings as well.
ALTER TABLE pages ADD COLUMN failing INTEGER NOT NULL DEFAULT 0 CHECK (failing IN (0, 1));
-- 1: of a test, and out of every figure.
ALTER TABLE pages ADD COLUMN is_test INTEGER NOT NULL DEFAULT 0 CHECK (is_test IN (0, 1));

-- 1: a named person has it, until it rings anew.
ALTER TABLE incidents ADD COLUMN acknowledged INTEGER NOT NULL DEFAULT 0 CHECK (acknowledged IN (0, 1));
-- The kinds grow with what people are paged about; the list of them is the program's.
ALTER TABLE incidents ADD COLUMN about TEXT NOT NULL DEFAULT '';
UPDATE incidents SET about = kind;
ALTER TABLE incidents DROP COLUMN kind;
ALTER TABLE incidents RENAME COLUMN about TO kind;

-- Receivers that forget are told of these again.
CREATE INDEX pages_closing ON pages (channel, created_at) WHERE kind = 'resolve';
