-- Which endpoints a channel, or one of its models, serves: names separated by commas; nothing means that nobody has said.
ALTER TABLE channels ADD COLUMN endpoints TEXT NOT NULL DEFAULT '';
ALTER TABLE channel_models ADD COLUMN endpoints TEXT NOT NULL DEFAULT '';

-- What a call used beside tokens (model::usage::Units), as JSON; nothing if it used nothing else.
ALTER TABLE usage ADD COLUMN units TEXT;
