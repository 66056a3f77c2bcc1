-- How a channel's requests are shaped, as JSON: fixes that are switched on or off, the upstream's own cache of answers.
ALTER TABLE channels ADD COLUMN shaping TEXT NOT NULL DEFAULT '{}';
