-- Up Migration

-- Who is in the gallery. Holds no name: identities live with the contributor.
CREATE TABLE subject (
  subject_id uuid PRIMARY KEY,
  version bigint NOT NULL CHECK (version >= 1),
  contributor text NOT NULL CHECK (contributor <> ''),
  external_id text,
  caveats text[] NOT NULL,
  provenance text NOT NULL CHECK (provenance IN ('unspecified', 'controlled', 'field', 'latent', 'synthetic')),
  expire_time timestamptz,
  create_time timestamptz NOT NULL,
  update_time timestamptz NOT NULL,
  UNIQUE (contributor, external_id)
);

-- One stored sample each.
CREATE TABLE reference (
  reference_id uuid PRIMARY KEY,
  subject_id uuid NOT NULL REFERENCES subject ON DELETE CASCADE,
  ordinal int NOT NULL,
  modality text NOT NULL CHECK (modality IN ('finger', 'face')),
  finger_position smallint NOT NULL CHECK (finger_position BETWEEN 0 AND 10),
  format text NOT NULL,
  stored_format text NOT NULL,
  quality smallint NOT NULL CHECK (quality BETWEEN 0 AND 100),
  model_id text,
  dimension int,
  minutia_count int NOT NULL,
  comparable boolean NOT NULL,
  capture_time timestamptz,
  template bytea NOT NULL,
  CHECK ((modality = 'face') = (model_id IS NOT NULL AND dimension IS NOT NULL))
);
CREATE INDEX reference_subject ON reference (subject_id);

CREATE TABLE gallery_membership (
  gallery text NOT NULL CHECK (gallery <> ''),
  subject_id uuid NOT NULL REFERENCES subject ON DELETE CASCADE,
  PRIMARY KEY (gallery, subject_id)
);
CREATE INDEX gallery_membership_subject ON gallery_membership (subject_id);

-- Every change of the gallery, once, in the order of the commits: the only way in which a search engine learns of one.
CREATE TABLE change (
  seq bigint PRIMARY KEY,
  kind text NOT NULL CHECK (kind IN ('upsert', 'expunge')),
  subject_id uuid NOT NULL,
  subject_version bigint NOT NULL,
  reason text,
  at timestamptz NOT NULL
);
CREATE INDEX change_subject ON change (subject_id);

CREATE FUNCTION refuse_rewriting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the change sequence is append-only';
END $$;
CREATE TRIGGER change_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON change
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewriting();

-- The number of the last change. A sequence object would leave holes after a rollback and hand out numbers in another
-- order than that of the commits; one row that each transaction takes last does neither.
CREATE TABLE change_counter (
  single boolean PRIMARY KEY DEFAULT true CHECK (single),
  seq bigint NOT NULL
);
INSERT INTO change_counter (seq) VALUES (0);

-- What makes an enrolment safe to repeat. The row outlives the subject, without the digest of what was sent, so that a
-- late repetition cannot bring back a person who was expunged.
CREATE TABLE enrolment_request (
  contributor text NOT NULL,
  client_request_id text NOT NULL,
  subject_id uuid NOT NULL,
  digest bytea,
  PRIMARY KEY (contributor, client_request_id)
);
CREATE INDEX enrolment_request_subject ON enrolment_request (subject_id);
