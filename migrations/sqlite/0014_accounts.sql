-- Who said which account a key belongs to: 'operator' or 'provider'. NULL: nobody yet, so the provider's word may be taken.
ALTER TABLE keys ADD COLUMN quota_group_by TEXT;
UPDATE keys SET quota_group_by = 'operator' WHERE quota_group IS NOT NULL;
