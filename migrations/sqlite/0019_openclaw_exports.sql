-- The last configuration that a token's OpenClaw was given, per provider id and part: the next one takes back what it no longer
-- holds. No secret stands in it.
CREATE TABLE openclaw_exports (
    token_id    BIGINT NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
    provider_id TEXT NOT NULL,
    part        TEXT NOT NULL,               -- chat, media
    exported_at BIGINT NOT NULL,
    record      TEXT NOT NULL,               -- JSON
    PRIMARY KEY (token_id, provider_id, part)
);
