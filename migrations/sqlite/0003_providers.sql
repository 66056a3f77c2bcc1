-- Whose rules a channel's upstream follows: the id of a provider; 'generic' if nobody knows.
ALTER TABLE channels ADD COLUMN provider TEXT NOT NULL DEFAULT 'generic';

-- Channels from before get the provider that their base URL belongs to. Only the program knows the base URLs, so that it
-- fills in these empty ones as soon as this migration is through.
UPDATE channels SET provider = '';
