-- Up Migration

-- What each change of a subject changed, and by whom. When, and in which order, says `change`, which has the same subject
-- and version. A row holds data as old as the enrolment, so it goes with its subject. Its MAC covers every column.
CREATE TABLE subject_history (
  history_id uuid PRIMARY KEY,
  -- No foreign key, which would be looked up for every row.
  subject_id uuid NOT NULL,
  -- The subject's version after the change.
  version bigint NOT NULL CHECK (version >= 1),
  -- The client that made the change, and its agency then.
  client_id text NOT NULL,
  agency text NOT NULL,
  -- JSON: values of fields before and after, ids and digests of references. Never a template.
  content text NOT NULL,
  mac bytea NOT NULL,
  mac_key_id text NOT NULL,
  UNIQUE (subject_id, version)
);

-- What a row says stays as it was written. Its MAC is made anew when the keys are rotated: that says nothing else.
CREATE FUNCTION refuse_history_rewriting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the history of a subject is append-only';
END $$;
CREATE TRIGGER history_is_append_only
  BEFORE UPDATE OF history_id, subject_id, version, client_id, agency, content OR TRUNCATE ON subject_history
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_history_rewriting();

CREATE FUNCTION keep_history_of_present() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM subject WHERE subject_id = OLD.subject_id) THEN
    RAISE EXCEPTION 'the history of a subject goes with the subject';
  END IF;
  RETURN OLD;
END $$;
-- Objects of a caller's own must not stand in for the table.
DO $$ BEGIN
  EXECUTE format('ALTER FUNCTION keep_history_of_present() SET search_path = %I, pg_temp', current_schema());
END $$;
CREATE TRIGGER history_goes_with_subject BEFORE DELETE ON subject_history
  FOR EACH ROW EXECUTE FUNCTION keep_history_of_present();
