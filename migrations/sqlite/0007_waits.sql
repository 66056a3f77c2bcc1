-- How long a call waited in line right before an attempt, and what for: model::usage::WaitReason.
ALTER TABLE attempts ADD COLUMN waited_ms BIGINT NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN waited_for TEXT;
