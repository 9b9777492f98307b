-- Up Migration

-- Tells this store from every other one, and from itself restored: what was derived from its changes belongs to it alone.
ALTER TABLE change_counter ADD COLUMN store_id uuid NOT NULL DEFAULT gen_random_uuid();
