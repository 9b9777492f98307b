-- Up Migration

-- A keyed MAC over a subject, its memberships and its references together, and the key that it was made with. NULL: a
-- row from before; the first start signs it. From then on a constraint, which that start adds, refuses rows without.
ALTER TABLE subject ADD COLUMN mac bytea, ADD COLUMN mac_key_id text REFERENCES template_key;
