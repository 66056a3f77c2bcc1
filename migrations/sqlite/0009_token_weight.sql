-- A token's share when calls of several tokens wait for the same keys.
ALTER TABLE tokens ADD COLUMN weight BIGINT NOT NULL DEFAULT 1;
