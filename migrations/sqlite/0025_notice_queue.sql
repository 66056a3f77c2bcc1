-- What waits for a target, and each message with what came of it: a kill loses nothing that was noticed.

-- How often a target is written to, when, and its digest: JSON, model::notice::Policy.
ALTER TABLE notice_targets ADD COLUMN policy TEXT NOT NULL DEFAULT '{}';
-- Events that were too many to keep since the last message.
ALTER TABLE notice_targets ADD COLUMN dropped BIGINT NOT NULL DEFAULT 0;

CREATE TABLE notice_messages (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    target_id   BIGINT NOT NULL REFERENCES notice_targets (id) ON DELETE CASCADE,
    created_at  BIGINT NOT NULL,
    kinds       TEXT NOT NULL,               -- JSON array, model::notice::EventKind
    events      BIGINT NOT NULL,             -- how many it tells
    left_out    BIGINT NOT NULL,             -- how many more were too many to keep
    test        BOOLEAN NOT NULL,
    tries       BIGINT NOT NULL,
    next_at     BIGINT,                      -- when it is tried again; NULL: it arrived, or was given up
    tried_at    BIGINT,
    ok          BOOLEAN NOT NULL,
    report      TEXT NOT NULL                -- JSON, model::notice::Report
);
CREATE INDEX notice_messages_of_target ON notice_messages (target_id, id);

CREATE TABLE notice_events (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    target_id  BIGINT NOT NULL REFERENCES notice_targets (id) ON DELETE CASCADE,
    message_id BIGINT REFERENCES notice_messages (id) ON DELETE CASCADE,    -- NULL: it waits
    kind       TEXT NOT NULL,
    event      TEXT NOT NULL                 -- JSON, model::notice::Event
);
CREATE INDEX notice_events_of_target ON notice_events (target_id, message_id, id);
CREATE INDEX notice_events_of_message ON notice_events (message_id);

-- What came of the last delivery is now told by its message.
INSERT INTO notice_messages (target_id, created_at, kinds, events, left_out, test, tries, tried_at, ok, report)
SELECT id, last_at, '[]', 0, 0, TRUE, 1, last_at, COALESCE(last_ok, FALSE),
    json_object('fault', CASE WHEN last_ok THEN NULL ELSE 'rejected' END, 'said', COALESCE(last_detail, ''))
FROM notice_targets WHERE last_at IS NOT NULL;
ALTER TABLE notice_targets DROP COLUMN last_at;
ALTER TABLE notice_targets DROP COLUMN last_ok;
ALTER TABLE notice_targets DROP COLUMN last_detail;

-- Since when a fact holds (0: from before it was watched), and whether it was told: some have to hold for a while first.
ALTER TABLE notice_facts ADD COLUMN since BIGINT NOT NULL DEFAULT 0;
ALTER TABLE notice_facts ADD COLUMN told BOOLEAN NOT NULL DEFAULT TRUE;
