-- The usage log in little room: texts that repeat are numbers of `words`, ids of calls and traces are bytes, and what sums
-- the log up is no longer a row per quarter of an hour and combination, but sheets of columns.

-- Texts that repeat: models, endpoints, results, kinds of clients. Never changed and never deleted, so whoever has read one
-- may keep it.
CREATE TABLE words (
    id   INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE
);
INSERT INTO words (text) VALUES ('ok'), ('success'), ('chat'), ('other'), ('openclaw');
INSERT OR IGNORE INTO words (text)
    SELECT asked_model FROM usage WHERE channel_id IS NOT NULL
    UNION SELECT served_model FROM usage WHERE served_model IS NOT NULL
    UNION SELECT endpoint FROM usage UNION SELECT result FROM usage UNION SELECT client_kind FROM usage
    UNION SELECT model FROM attempts UNION SELECT class FROM attempts
    UNION SELECT waited_for FROM attempts WHERE waited_for IS NOT NULL
    UNION SELECT model_fault FROM attempts WHERE model_fault IS NOT NULL
    UNION SELECT asked_model FROM rollups UNION SELECT served_model FROM rollups WHERE served_model <> ''
    UNION SELECT endpoint FROM rollups UNION SELECT client_kind FROM rollups UNION SELECT result FROM rollups
    UNION SELECT model FROM attempt_rollups UNION SELECT class FROM attempt_rollups;

-- One row per client call. `usage` shows it with its texts.
CREATE TABLE calls (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used twice: sheets know rows by it
    request_id        BLOB NOT NULL UNIQUE,
    at                INTEGER NOT NULL,
    token_id          INTEGER NOT NULL,
    channel_id        INTEGER,
    key_id            INTEGER,
    asked_model       NOT NULL,              -- a word; the text itself if the call reached no channel, since clients make names up
    served_model      INTEGER,               -- a word, as endpoint, result and client_kind
    endpoint          INTEGER NOT NULL,
    stream            BOOLEAN NOT NULL,
    status            INTEGER NOT NULL,
    result            INTEGER NOT NULL,
    error_code        TEXT,                  -- itself: upstreams make codes up
    queue_ms          INTEGER NOT NULL,
    first_token_ms    INTEGER,
    total_ms          INTEGER NOT NULL,
    prompt_tokens     INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    cached_tokens     INTEGER NOT NULL,
    reasoning_tokens  INTEGER NOT NULL,
    estimated         BOOLEAN NOT NULL,
    cost_micros       INTEGER NOT NULL,
    client_address,                          -- IPv4: its number; else the text
    client_kind       INTEGER NOT NULL,
    trace_id,                                -- 16 bytes; else the text
    attempt_count     INTEGER NOT NULL,
    units             TEXT
);
INSERT INTO calls
    SELECT id, COALESCE(unhex(request_id, '-'), request_id), at, token_id, channel_id, key_id,
           CASE WHEN channel_id IS NULL THEN asked_model ELSE (SELECT id FROM words WHERE text = asked_model) END,
           (SELECT id FROM words WHERE text = served_model), (SELECT id FROM words WHERE text = endpoint), stream, status,
           (SELECT id FROM words WHERE text = result), error_code, queue_ms,
           first_token_ms, total_ms, prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens, estimated,
           cost_micros, client_address, (SELECT id FROM words WHERE text = client_kind),
           CASE WHEN length(trace_id) = 32 AND trace_id NOT GLOB '*[^0-9a-f]*' THEN unhex(trace_id) ELSE trace_id END,
           attempt_count, units
    FROM usage ORDER BY id;
CREATE INDEX calls_at ON calls (at);
CREATE INDEX calls_token_at ON calls (token_id, at);
CREATE INDEX calls_channel_at ON calls (channel_id, at);
CREATE INDEX calls_key_at ON calls (key_id, at);
-- Both of traced calls only; the first of a trace id's end, which is random with every tracer.
CREATE INDEX calls_trace ON calls (substr(trace_id, -4)) WHERE trace_id IS NOT NULL;
CREATE INDEX calls_traced_at ON calls (at) WHERE trace_id IS NOT NULL;

-- The upstream calls of each; deleted with it, by the same statements' transaction.
CREATE TABLE call_attempts (
    call_id       INTEGER NOT NULL,
    position      INTEGER NOT NULL,
    channel_id    INTEGER NOT NULL,
    key_id        INTEGER NOT NULL,
    model         INTEGER NOT NULL,
    started_ms    INTEGER NOT NULL,
    first_byte_ms INTEGER,
    duration_ms   INTEGER NOT NULL,
    status        INTEGER,
    class         INTEGER NOT NULL,
    detail        TEXT,                      -- NULL: nothing to say
    waited_ms     INTEGER NOT NULL,
    waited_for    INTEGER,
    model_fault   INTEGER,
    PRIMARY KEY (call_id, position)
) WITHOUT ROWID;
INSERT INTO call_attempts
    SELECT usage_id, position, channel_id, key_id, (SELECT id FROM words WHERE text = model), started_ms, first_byte_ms,
           duration_ms, status, (SELECT id FROM words WHERE text = class), NULLIF(detail, ''), waited_ms,
           (SELECT id FROM words WHERE text = waited_for), (SELECT id FROM words WHERE text = model_fault)
    FROM attempts ORDER BY usage_id, position;

-- Up to which call the sheets hold the log; later rows are read as they are.
CREATE TABLE folds (
    id        INTEGER PRIMARY KEY CHECK (id = 1),
    folded_to INTEGER NOT NULL
);
INSERT INTO folds (id, folded_to) SELECT 1, COALESCE(MAX(id), 0) FROM usage;

-- Calls and attempts of a day (UTC) as columns, a value per call, to the quarter of an hour; kept for good.
CREATE TABLE sheets (
    id      INTEGER PRIMARY KEY,
    kind    INTEGER NOT NULL,                -- 0: calls, 1: attempts
    day     INTEGER NOT NULL,                -- since 1970
    entries INTEGER NOT NULL,
    names   INTEGER NOT NULL                 -- made-up names of models that became words with it
);
CREATE INDEX sheets_day ON sheets (kind, day);
CREATE TABLE sheet_columns (
    id   INTEGER PRIMARY KEY,                -- 32 times that of the sheet, and the place: a search never reads data
    data BLOB NOT NULL                       -- storage::sheets::column
);

-- Sums of whole days by one dimension, made of sheets and made anew when they change.
CREATE TABLE day_sums (
    dimension INTEGER NOT NULL,
    start     INTEGER NOT NULL,              -- of a day on the server's clock
    until     INTEGER NOT NULL,
    data      BLOB NOT NULL,                 -- storage::sheets::totals
    PRIMARY KEY (dimension, start)
) WITHOUT ROWID;

-- When models at channels last answered or were refused, to a quarter of an hour, as far as calls are in sheets.
CREATE TABLE last_tries (
    channel_id INTEGER NOT NULL,
    model      INTEGER NOT NULL,
    class      INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    PRIMARY KEY (channel_id, model, class)
) WITHOUT ROWID;
INSERT INTO last_tries
    SELECT channel_id, (SELECT id FROM words WHERE text = model), (SELECT id FROM words WHERE text = class), MAX(bucket)
    FROM attempt_rollups GROUP BY 1, 2, 3;

DROP TABLE attempts;
DROP TABLE usage;

-- The sums of older versions. The program puts them into sheets as soon as this migration is through, and drops the tables.
ALTER TABLE rollups RENAME TO old_rollups;
ALTER TABLE attempt_rollups RENAME TO old_attempt_rollups;

-- The log with its texts, for questions about few rows.
CREATE VIEW usage AS
SELECT id,
       lower(substr(hex(request_id), 1, 8) || '-' || substr(hex(request_id), 9, 4) || '-' || substr(hex(request_id), 13, 4)
             || '-' || substr(hex(request_id), 17, 4) || '-' || substr(hex(request_id), 21)) AS request_id,
       at, token_id, channel_id, key_id,
       CASE typeof(asked_model) WHEN 'integer' THEN (SELECT text FROM words w WHERE w.id = c.asked_model)
            ELSE asked_model END AS asked_model,
       (SELECT text FROM words w WHERE w.id = c.served_model) AS served_model,
       (SELECT text FROM words w WHERE w.id = c.endpoint) AS endpoint,
       stream, status,
       (SELECT text FROM words w WHERE w.id = c.result) AS result,
       error_code, queue_ms, first_token_ms, total_ms, prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens, estimated,
       cost_micros,
       CASE typeof(client_address)
            WHEN 'integer' THEN (client_address >> 24) || '.' || ((client_address >> 16) & 255) || '.'
                                || ((client_address >> 8) & 255) || '.' || (client_address & 255)
            ELSE client_address END AS client_address,
       (SELECT text FROM words w WHERE w.id = c.client_kind) AS client_kind,
       CASE typeof(trace_id) WHEN 'blob' THEN lower(hex(trace_id)) ELSE trace_id END AS trace_id,
       attempt_count, units
FROM calls c;

CREATE VIEW attempts AS
SELECT call_id AS usage_id, position, channel_id, key_id,
       (SELECT text FROM words w WHERE w.id = a.model) AS model,
       started_ms, first_byte_ms, duration_ms, status,
       (SELECT text FROM words w WHERE w.id = a.class) AS class,
       COALESCE(detail, '') AS detail, waited_ms,
       (SELECT text FROM words w WHERE w.id = a.waited_for) AS waited_for,
       (SELECT text FROM words w WHERE w.id = a.model_fault) AS model_fault
FROM call_attempts a;
