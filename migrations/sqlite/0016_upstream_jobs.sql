-- What upstreams keep for later: videos that are being made, stored responses. Each belongs to the token that asked for it
-- and can be asked for with the key that created it only. Clients know it by our id.
CREATE TABLE upstream_jobs (
    id             TEXT PRIMARY KEY,         -- ours
    kind           TEXT NOT NULL,            -- video, response
    token_id       BIGINT NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
    channel_id     BIGINT NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
    key_id         BIGINT NOT NULL REFERENCES keys (id) ON DELETE CASCADE,
    upstream_id    TEXT NOT NULL,            -- the upstream's
    model          TEXT NOT NULL,            -- as the client asked for it
    upstream_model TEXT NOT NULL,
    created_at     BIGINT NOT NULL,
    answer         TEXT                      -- the last answer about it, as the client saw it; NULL: none worth keeping
);
CREATE INDEX upstream_jobs_token ON upstream_jobs (token_id, kind, created_at, id);
CREATE INDEX upstream_jobs_created ON upstream_jobs (created_at);
