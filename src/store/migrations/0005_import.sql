-- Up Migration

-- Imports that have not come to their end: how far they are. Written together with what was imported, so that one that
-- was interrupted goes on exactly where it was.
CREATE TABLE import (
  -- SHA-256 of the file.
  digest bytea PRIMARY KEY,
  byte_offset bigint NOT NULL DEFAULT 0,
  record_count bigint NOT NULL DEFAULT 0,
  subject_count bigint NOT NULL DEFAULT 0,
  reference_count bigint NOT NULL DEFAULT 0,
  repeated_count bigint NOT NULL DEFAULT 0,
  refused_count bigint NOT NULL DEFAULT 0
);

-- What they refused. Gone with the import, once it was reported.
CREATE TABLE import_refusal (
  digest bytea NOT NULL REFERENCES import ON DELETE CASCADE,
  record bigint NOT NULL,
  reason text NOT NULL,
  message text NOT NULL,
  field text NOT NULL,
  contributor text NOT NULL,
  external_id text NOT NULL,
  PRIMARY KEY (digest, record)
);
