-- The sums of a model lie beside each other, so that a ranking reads them in one go.
CREATE TABLE model_days_by_model (
    channel_id     BIGINT NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
    model          TEXT NOT NULL,
    day            BIGINT NOT NULL,          -- UTC, since 1970
    answered       BIGINT NOT NULL,
    failed         BIGINT NOT NULL,
    first_tokens   BIGINT NOT NULL,          -- how many times until the first content, and their sum
    first_token_ms BIGINT NOT NULL,
    speeds         BIGINT NOT NULL,          -- how many speeds, and their sum in tokens per second
    speed          BIGINT NOT NULL,
    PRIMARY KEY (channel_id, model, day)
) WITHOUT ROWID;
INSERT INTO model_days_by_model
SELECT channel_id, model, day, answered, failed, first_tokens, first_token_ms, speeds, speed
FROM model_days ORDER BY channel_id, model, day;
DROP TABLE model_days;
ALTER TABLE model_days_by_model RENAME TO model_days;
