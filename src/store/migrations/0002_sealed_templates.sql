-- Up Migration

-- The keys that templates are encrypted with, and how to tell that a program has the right ones: a digest that says
-- nothing of the key.
CREATE TABLE template_key (
  key_id text PRIMARY KEY,
  proof bytea NOT NULL
);

-- Templates are encrypted at rest. NULL: not yet, a row from before; the next start encrypts it.
ALTER TABLE reference ADD COLUMN key_id text REFERENCES template_key;
CREATE INDEX reference_unsealed ON reference (reference_id) WHERE key_id IS NULL;
