-- Up Migration

-- Which client did what with which subjects. A writer is one process of the service; its records form a chain by hash. `entry` is what was
-- recorded, in canonical JSON, and `hash` covers it and the record before; a batch ends with a signature. The columns
-- before `entry` repeat what is in it, to be found by.
CREATE TABLE audit_record (
  writer uuid NOT NULL,
  seq bigint NOT NULL CHECK (seq >= 1),
  -- When it ended.
  at timestamptz NOT NULL,
  kind text NOT NULL,
  client_id text,
  agency text,
  subjects uuid[] NOT NULL,
  entry text NOT NULL,
  hash bytea NOT NULL CHECK (octet_length(hash) = 32),
  signature bytea CHECK (octet_length(signature) = 64),
  PRIMARY KEY (writer, seq)
);
-- What auditors ask: when, who, and who searched this person.
CREATE INDEX audit_record_at ON audit_record (at);
CREATE INDEX audit_record_client ON audit_record (client_id, at) WHERE client_id IS NOT NULL;
CREATE INDEX audit_record_subjects ON audit_record USING gin (subjects);

CREATE FUNCTION refuse_audit_rewriting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the audit is append-only';
END $$;
CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_record
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_rewriting();
