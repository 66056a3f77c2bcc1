-- What is used and known of the limits of keys, saved every second while it changes: one row of JSON,
-- scheduler::pool::Saved. `complete` says that the run which saved it ended in good order.
CREATE TABLE ledger (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    saved    TEXT NOT NULL,
    complete BOOLEAN NOT NULL
);
