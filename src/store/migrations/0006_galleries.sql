-- Up Migration

-- Every gallery that any subject ever belonged to. A search of one that was emptied finds nobody; a search of one that
-- is not here was asked for by a wrong name.
CREATE TABLE gallery (
  name text PRIMARY KEY CHECK (name <> ''),
  first_seen timestamptz NOT NULL DEFAULT now()
);
INSERT INTO gallery (name, first_seen)
  SELECT m.gallery, min(s.create_time) FROM gallery_membership m JOIN subject s USING (subject_id) GROUP BY m.gallery;

-- Whatever way a membership comes in by: an enrolment, an update, an import, a backup that was made before there was
-- this table. In order of name, so that two transactions that bring the same new galleries do not wait in a circle.
CREATE FUNCTION note_galleries() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO gallery (name)
    SELECT DISTINCT e.gallery FROM entered e WHERE NOT EXISTS (SELECT FROM gallery g WHERE g.name = e.gallery)
    ORDER BY e.gallery
    ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;
CREATE TRIGGER galleries_are_noted AFTER INSERT ON gallery_membership
  REFERENCING NEW TABLE AS entered FOR EACH STATEMENT EXECUTE FUNCTION note_galleries();

-- A backup brings both tables, in whatever order: the earlier time is kept.
CREATE FUNCTION keep_first_seen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE gallery SET first_seen = least(first_seen, NEW.first_seen) WHERE name = NEW.name;
  IF FOUND THEN
    RETURN NULL;
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER gallery_is_noted_once BEFORE INSERT ON gallery FOR EACH ROW EXECUTE FUNCTION keep_first_seen();
