-- Up Migration

-- What the owners of records are to be told: that a search found one of theirs. The audit record says what happened; a
-- row here gives it a place among the hits of its agency.
CREATE TABLE hit (
  agency text NOT NULL,
  -- In the order of the commits. Numbers may be missing.
  seq bigint NOT NULL CHECK (seq >= 1),
  hit_id uuid NOT NULL UNIQUE,
  subject_id uuid NOT NULL,
  -- The audit record.
  writer uuid NOT NULL,
  record_seq bigint NOT NULL,
  PRIMARY KEY (agency, seq)
);
CREATE INDEX hit_subject ON hit (subject_id);

-- The last number of each agency. Its row is locked until the commit: a reader that has seen a number has seen all before.
CREATE TABLE hit_counter (
  agency text PRIMARY KEY,
  seq bigint NOT NULL
);

-- How far each client has dealt with the hits of its agency.
CREATE TABLE hit_cursor (
  agency text NOT NULL,
  client_id text NOT NULL,
  seq bigint NOT NULL,
  update_time timestamptz NOT NULL,
  PRIMARY KEY (agency, client_id)
);

-- The only way in which a hit is made, in the transaction of its audit record, whatever writes that: a service, or the
-- replay of what was recorded while the database was away. It runs with the rights of the schema's owner, so that the
-- service needs none to write hits.
CREATE FUNCTION note_hits() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  told record;
  last bigint;
BEGIN
  -- In order of agency, so that two transactions do not wait in a circle.
  FOR told IN
    SELECT e.agency, count(*) AS hits
    FROM entered e CROSS JOIN LATERAL jsonb_array_elements(e.entry::jsonb -> 'hits')
    WHERE e.kind = 'hit' AND e.agency IS NOT NULL GROUP BY e.agency ORDER BY e.agency
  LOOP
    INSERT INTO hit_counter AS c (agency, seq) VALUES (told.agency, told.hits)
      ON CONFLICT (agency) DO UPDATE SET seq = c.seq + told.hits RETURNING c.seq INTO last;
    INSERT INTO hit (agency, seq, hit_id, subject_id, writer, record_seq)
      SELECT told.agency, last - told.hits + row_number() OVER (ORDER BY e.writer, e.seq, h.place),
        (h.hit ->> 'hit_id')::uuid, (h.hit ->> 'subject_id')::uuid, e.writer, e.seq
      FROM entered e CROSS JOIN LATERAL jsonb_array_elements(e.entry::jsonb -> 'hits') WITH ORDINALITY AS h (hit, place)
      WHERE e.kind = 'hit' AND e.agency = told.agency;
    PERFORM pg_notify('ridgewatch_hit', told.agency);
  END LOOP;
  RETURN NULL;
END $$;
-- Objects of a caller's own must not stand in for these tables.
DO $$ BEGIN
  EXECUTE format('ALTER FUNCTION note_hits() SET search_path = %I, pg_temp', current_schema());
END $$;
CREATE TRIGGER hits_are_noted AFTER INSERT ON audit_record
  REFERENCING NEW TABLE AS entered FOR EACH STATEMENT EXECUTE FUNCTION note_hits();

CREATE FUNCTION refuse_hit_rewriting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'hits are append-only';
END $$;
CREATE TRIGGER hits_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON hit
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_hit_rewriting();
