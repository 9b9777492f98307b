-- Up Migration

-- A keyed MAC over each change, and the key that it was made with. NULL: a row from before; the first start signs it.
-- From then on a constraint, which that start adds, refuses rows without. The key is no foreign key, which would be
-- looked up for every row: appending looks it up once.
ALTER TABLE change ADD COLUMN mac bytea, ADD COLUMN mac_key_id text;

-- What a change says stays as it was written. Its MAC is made anew when the keys are rotated: that says nothing else.
DROP TRIGGER change_is_append_only ON change;
CREATE TRIGGER change_is_append_only
  BEFORE UPDATE OF seq, kind, subject_id, subject_version, reason, at OR DELETE OR TRUNCATE ON change
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewriting();

-- Takes the MACs from rows that were added ahead of the counter, below a number: they were not written by this program.
-- It runs with the rights of the schema's owner; objects of a caller's own must not stand in for the tables.
CREATE FUNCTION void_changes_ahead(below bigint) RETURNS void LANGUAGE sql SECURITY DEFINER AS $$
  UPDATE change SET mac = '' WHERE seq > (SELECT seq FROM change_counter) AND seq < below
$$;
DO $$ BEGIN
  EXECUTE format('ALTER FUNCTION void_changes_ahead(bigint) SET search_path = %I, pg_temp', current_schema());
END $$;

-- A keyed MAC over a client, the code of its agency and all of its credentials together, and how many states of them
-- there were. NULL: a row from before, as above.
ALTER TABLE client
  ADD COLUMN version bigint NOT NULL DEFAULT 1 CHECK (version >= 1),
  ADD COLUMN mac bytea,
  ADD COLUMN mac_key_id text REFERENCES template_key;
