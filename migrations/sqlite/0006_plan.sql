-- The plan of its provider that a channel's limits depend on; nothing means the provider's usual one.
ALTER TABLE channels ADD COLUMN plan TEXT;

-- Whether an operator's limit holds whatever is learned of it: model::limit::Source::Operator instead of ::Declared.
ALTER TABLE limits ADD COLUMN insist BOOLEAN NOT NULL DEFAULT FALSE;

-- Limits go with the key that they are about.
CREATE TRIGGER limits_of_a_removed_key AFTER UPDATE OF deleted_at ON keys
WHEN NEW.deleted_at IS NOT NULL
BEGIN DELETE FROM limits WHERE key_id = NEW.id; END;
CREATE TRIGGER limits_of_a_removed_channel AFTER UPDATE OF deleted_at ON channels
WHEN NEW.deleted_at IS NOT NULL
BEGIN DELETE FROM limits WHERE channel_id = NEW.id; END;
