-- The calls of one turn of an agent have the same trace id. Both indexes hold traced calls only. The first is of a trace
-- id's end, which is random with every tracer (some begin with the time, some with zeros); whoever looks compares the rest.
CREATE INDEX usage_trace ON usage (substr(trace_id, -8)) WHERE trace_id IS NOT NULL;
CREATE INDEX usage_traced_at ON usage (at) WHERE trace_id IS NOT NULL;

-- Which programs used a token, and when last: written together with the usage rows that tell of them.
CREATE TABLE token_clients (
    token_id BIGINT NOT NULL,
    kind     TEXT NOT NULL,                  -- as in the usage log
    version  TEXT NOT NULL,                  -- empty: it does not say
    last_at  BIGINT NOT NULL,
    PRIMARY KEY (token_id, kind, version)
) WITHOUT ROWID;
-- Clients choose what they call themselves, so a token has the last eight, whoever writes.
CREATE TRIGGER token_clients_bounded AFTER INSERT ON token_clients
BEGIN
    DELETE FROM token_clients WHERE token_id = NEW.token_id AND (kind, version) NOT IN (
        SELECT kind, version FROM token_clients WHERE token_id = NEW.token_id ORDER BY last_at DESC, kind, version LIMIT 8);
END;
