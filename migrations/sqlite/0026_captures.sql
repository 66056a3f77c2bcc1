-- Whose requests and answers are captured, and until when. What was captured lies sealed in files of the data folder, so that no
-- backup holds it; these rows say for how long it may lie there.
CREATE TABLE captures (
    token_id   INTEGER PRIMARY KEY REFERENCES tokens (id) ON DELETE CASCADE,
    started_at BIGINT NOT NULL,
    ends_at    BIGINT NOT NULL,              -- no call that arrives later is captured
    keep_until BIGINT NOT NULL,              -- then everything is erased
    started_by TEXT NOT NULL                 -- the account's name, or the command line
);
-- Calls ask the catalog, so a command's change reaches a running server like any other.
CREATE TRIGGER captures_added AFTER INSERT ON captures
BEGIN UPDATE catalog_version SET version = version + 1; END;
CREATE TRIGGER captures_changed AFTER UPDATE ON captures
BEGIN UPDATE catalog_version SET version = version + 1; END;
CREATE TRIGGER captures_removed AFTER DELETE ON captures
BEGIN UPDATE catalog_version SET version = version + 1; END;
