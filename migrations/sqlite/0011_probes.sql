-- What is known of the abilities of upstreams' models, from probes and from real calls. Nothing here is in catalog snapshots.
CREATE TABLE probes (
    channel_id        BIGINT NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
    model             TEXT NOT NULL,             -- the upstream's name
    kind              TEXT NOT NULL,             -- stream, tools, vision, json, reasoning
    verdict           TEXT NOT NULL,             -- ok, accepted, not, unclear
    at                BIGINT NOT NULL,
    duration_ms       BIGINT NOT NULL,
    first_token_ms    BIGINT,
    tokens_per_second BIGINT,
    detail            TEXT NOT NULL,             -- short, secrets masked
    source            TEXT NOT NULL,             -- probe, traffic
    PRIMARY KEY (channel_id, model, kind)
);
CREATE INDEX probes_at ON probes (at);

-- The calls that probes made in the last days, for their share of daily quotas.
CREATE TABLE probe_calls (
    id         INTEGER PRIMARY KEY,
    at         BIGINT NOT NULL,
    channel_id BIGINT NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
    key_id     BIGINT NOT NULL,
    model      TEXT NOT NULL
);
CREATE INDEX probe_calls_of_channel ON probe_calls (channel_id, at);
