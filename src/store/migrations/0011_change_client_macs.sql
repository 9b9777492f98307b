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

-- Rows whose numbers the counter has not given were added by another hand. This passes them over: it gives the first run
-- of `wanted` free numbers behind them, and takes the MACs from those before it, which may be of a state before a restore.
-- It runs with the rights of the schema's owner, since the service's role may not change rows. NULL: `most` rows
-- or more are in the way.
CREATE FUNCTION pass_changes_ahead(wanted bigint, most bigint) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  given bigint;
  free bigint;
  ahead record;
  passed bigint := 0;
BEGIN
  SELECT seq INTO STRICT given FROM change_counter FOR UPDATE;
  free := given + 1;
  FOR ahead IN SELECT seq FROM change WHERE seq > given ORDER BY seq LOOP
    EXIT WHEN ahead.seq >= free + wanted;
    free := ahead.seq + 1;
    passed := passed + 1;
    IF passed >= most THEN
      RETURN NULL;
    END IF;
  END LOOP;
  UPDATE change SET mac = '' WHERE seq > given AND seq < free;
  UPDATE change_counter SET seq = free + wanted - 1;
  RETURN free;
END $$;
-- Objects of a caller's own must not stand in for the tables.
DO $$ BEGIN
  EXECUTE format('ALTER FUNCTION pass_changes_ahead(bigint, bigint) SET search_path = %I, pg_temp', current_schema());
END $$;

-- Otherwise rows behind the counter could be taken for rows ahead of it.
CREATE FUNCTION refuse_lower_counter() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the number of the last change only grows';
END $$;
CREATE TRIGGER change_counter_only_grows BEFORE UPDATE ON change_counter
  FOR EACH ROW WHEN (NEW.seq < OLD.seq) EXECUTE FUNCTION refuse_lower_counter();

-- A keyed MAC over a client, the code of its agency and all of its credentials together, and how many states of them
-- there were. NULL: a row from before, as above.
ALTER TABLE client
  ADD COLUMN version bigint NOT NULL DEFAULT 1 CHECK (version >= 1),
  ADD COLUMN mac bytea,
  ADD COLUMN mac_key_id text REFERENCES template_key;
