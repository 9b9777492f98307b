-- Up Migration

-- Cases about the candidates of searches, which two examiners decide. The MAC covers the facts, the state and all steps:
-- a case that was changed in the database is decided by none. The keys are no foreign keys; a rotation renews what they
-- made.
CREATE TABLE review_case (
  case_id uuid PRIMARY KEY,
  agency text NOT NULL,
  state text NOT NULL CHECK (state IN ('open', 'conflict', 'escalated', 'closed', 'expired')),
  create_time timestamptz NOT NULL,
  expire_time timestamptz NOT NULL,
  close_time timestamptz,
  -- What the case is about, in JSON.
  facts text NOT NULL,
  -- The probe under a key of this case alone, and that key under the store's key. NULL: destroyed.
  probe bytea,
  probe_key bytea,
  probe_key_id text,
  -- Signed, of the destroyed probe.
  receipt text,
  mac bytea NOT NULL,
  mac_key_id text NOT NULL,
  CHECK ((probe IS NULL) = (probe_key IS NULL) AND (probe IS NULL) = (probe_key_id IS NULL)),
  CHECK ((state IN ('closed', 'expired')) = (probe IS NULL))
);
CREATE INDEX review_case_agency ON review_case (agency, case_id);
CREATE INDEX review_case_due ON review_case (expire_time) WHERE probe IS NOT NULL;

-- Analyses, decisions and reports, in JSON. Only ever added. No foreign key: a repair rewrites tables one at a time, and the
-- MAC of the case shows a lost step.
CREATE TABLE case_step (
  case_id uuid NOT NULL,
  ordinal int NOT NULL CHECK (ordinal >= 0),
  step text NOT NULL,
  PRIMARY KEY (case_id, ordinal)
);

CREATE FUNCTION refuse_step_rewriting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'steps of cases are append-only';
END $$;
CREATE TRIGGER steps_are_append_only BEFORE UPDATE OR DELETE ON case_step
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_step_rewriting();
